"""The report that a person would send to a colleague, as a browser shows it."""

import json
import re
import shutil
import subprocess

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

TARGETS = ("tables/table1.md", "figures/examples.png")

LOOK = """
const pause = () => new Promise(done => setTimeout(done, 500));
const seen = {}, paths = Object.keys(results), found = end => paths.find(path => path.endsWith(end));
const look = name => { seen[name] = document.body.innerText; };
const steps = [
    () => look("front"),
    () => app.showCategory("table1"), () => look("table1"),
    ...["table1.html", "shtb-curves.png", "shtb-generated.png", "examples.png"].flatMap(
        end => [() => app.showResultInfo(found(end)), () => look(end)]),
    ...["shtb-curves.png", "shtb-generated.png", "examples.png"].flatMap(end => [
        () => app.setView({content: "img", contentPath: results[found(end)].data_uri}),
        async () => {
            const shown = () => document.querySelector("#app .p-3 > img");  // not the logo
            for (let i = 0; !shown()?.naturalWidth && i < 50; i++) await pause();
            seen["width of " + end] = shown()?.naturalWidth;
        }]),
    () => app.setView({content: "stats"}), () => look("statistics"),
    () => { seen.charts = document.querySelectorAll("#app canvas, #app svg.marks").length; },
    () => {
        const bytes = Uint8Array.from(atob(results[found("table1.html")].data_uri.split(",")[1]), c => c.charCodeAt(0));
        document.body.innerHTML = new TextDecoder().decode(bytes);
        seen.cells = [...document.querySelectorAll("table tr")].map(row => [...row.cells].map(cell => cell.innerText));
        look("page");
        const text = document.createElement("pre");
        text.id = "seen";
        text.textContent = JSON.stringify(seen);
        document.body.replaceChildren(text);
    },
];
(async () => {
    for (const step of steps) {
        await pause();
        await ReactDOM.flushSync(step);
    }
})();
"""
"""What a reader clicks on one after the other, and what is to be seen then: the text that is visible."""


def read(report, folder):
    """Return what a browser shows of a report, by the name that `LOOK` gives it."""
    page = folder / "looked-at.html"
    before, end, after = report.read_text().rpartition("</body>")
    page.write_text(f"{before}<script>{LOOK}</script>{end}{after}")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += ["--virtual-time-budget=200000", "--dump-dom", page.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    found = re.search(r'<pre id="seen">(.*?)</pre>', dom, re.DOTALL)
    assert found, dom[-2000:]
    text = found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", " ").replace("&amp;", "&")
    return json.loads(text)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_a_reader_finds_tables_curves_images_captions_and_runtimes(finished, tmp_path):
    report = tmp_path / "report.html"
    made = finished.run("--report", str(report), *TARGETS)
    assert made.returncode == 0, made.stdout
    assert not re.search(r'(?:src|href)="https?:', report.read_text())  # nothing is loaded from elsewhere
    seen = read(report, tmp_path)
    assert "PromptMix" in seen["front"] and "the scale tiny" in seen["front"]
    assert "table1" in seen["front"] and "figures" in seen["front"]
    for shown in ("table", "training curves", "generated images"):
        assert shown in seen["table1"]
    for name, words in {
        "table1.html": "the scale tiny: mean ± standard deviation",
        "shtb-curves.png": "on SHTB: loss and error",
        "shtb-generated.png": "spread evenly",
        "examples.png": "generated images below",
    }.items():
        assert words in " ".join(seen[name].split()), name
    assert all(seen[f"width of {name}"] > 500 for name in ("shtb-curves.png", "shtb-generated.png", "examples.png"))
    assert seen["charts"] >= 2  # how long rules took, and when they ran
    head, *rows = seen["cells"]
    assert head[:3] == ["Dataset", "Method", "MAE"] and rows[0][:2] == ["SHTB", "ResCSRNet (baseline)"]
    assert ["Not in the paper:"] in rows
    assert "Scale: tiny." in seen["page"] and "|" not in seen["page"] and "**" not in seen["page"]

"""Commands in messages can be typed as they are."""

from promptmix.errors import OPTIONS, command


def test_a_command_names_files_as_snakemake_does_and_has_the_options_of_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(OPTIONS, raising=False)
    assert command(tmp_path / "results" / "a.csv", "b.csv") == "snakemake results/a.csv b.csv"
    assert command(tmp_path.parent / "a.csv") == f"snakemake {tmp_path.parent}/a.csv"
    monkeypatch.setenv(OPTIONS, "--configfile config/paper.yaml --cores 8")
    assert command("a.csv") == "snakemake a.csv --configfile config/paper.yaml --cores 8"

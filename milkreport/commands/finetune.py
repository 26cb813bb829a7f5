"""The work of ``finetune``: train, compare, draw both reports, and say in a table what came of it."""

from __future__ import annotations

from dataclasses import replace

from milkreport.atomic import write_text
from milkreport.commands.console import show_files
from milkreport.commands.execute import draw, reviewed, synthetic_folder
from milkreport.commands.finetuned import as_markdown, show
from milkreport.commands.progress import progress
from milkreport.evidence.pack import check_level
from milkreport.finetuning.finetune import Job, finetune
from milkreport.finetuning.old_data import drawn_cases
from milkreport.finetuning.record import NEW, OLD, RECORD, SUMMARY, FineTuning
from milkreport.runs.folder import RunFolder


def run(job: Job, pdf: str) -> FineTuning:
    """Carry *job* out; where the run drew its data itself, they are drawn again to see what was forgotten."""
    cases, evidence = job.options.cases, job.options.evidence
    check_level(evidence, cases)
    parent = job.parent
    if job.old_data is None and drawn_cases(parent) is not None and parent.suite is not None:
        job = replace(job, old_data=synthetic_folder(parent.suite, job.cache))
    with progress() as watcher:
        record = finetune(job, watcher)
    files = [job.out / RECORD]
    for name, compared in ((NEW, record.new), (OLD, record.old)):
        if compared is not None:
            folder = RunFolder(job.out / name)
            results = reviewed(folder, folder.load_results(), None)
            files += draw(folder, results, None, pdf, cases=cases, evidence=evidence)[:2]
    write_text(job.out / SUMMARY, as_markdown(record))
    show(record)
    files = [path for path in files if path.suffix != ".svg"]
    show_files([*files, job.out / SUMMARY])
    return record

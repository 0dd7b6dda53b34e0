"""One HTML file about runs: opens from disk, needs no network, loads nothing from elsewhere.

The room reads run folders, the feature cache and the pictures, and writes one file. It recomputes
no result: figures are those of the run folders, findings those of `pipeline check`, groups those of
`pipeline compare`; it draws them. Names of classes and files are data: they are escaped on their
way into the page, and the page's script writes them as text only. Nothing here imports TensorFlow,
and no base is run, but where evidence is asked for.
"""

from pipeline.report.write import check_target, write_report

__all__ = ["check_target", "write_report"]

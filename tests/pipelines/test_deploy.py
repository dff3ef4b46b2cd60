"""The files of `pipelines/deploy`: of their published types, and fit for our program."""

import configparser
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from keras_recs.training.cluster import Cluster
from pipelines.free_ports import free_ports
from tests.harness import ROOT, run_python
from tests.kubernetes_api import check, read_manifests, tf_config

FOLDER = ROOT / "pipelines" / "deploy"
STRATEGIES = ("multi_worker_mirrored", "parameter_server")
CLAIMS = read_manifests(FOLDER / "volume.yaml")


def job_of(strategy):
    (job,) = read_manifests(FOLDER / f"{strategy}.yaml")
    return job


def replicas_of(job):
    return job["spec"]["tfReplicaSpecs"]


def pods_of(job):
    """What each kind of process runs: its pod and the only container of that."""
    pods = [spec["template"]["spec"] for spec in replicas_of(job).values()]
    for pod in pods:
        (container,) = pod["containers"]
        yield pod, container


# === Published types ===


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_jobs_are_of_the_published_type(strategy):
    job = job_of(strategy)
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "TFJob")
    checked = check(job, "KubeflowOrgV1TFJob", strategy)
    assert checked.spec.run_policy.clean_pod_policy == "Running"
    kinds = {"Chief", "Worker"} | ({"PS"} if strategy == "parameter_server" else set())
    assert set(replicas_of(job)) == kinds
    # Names of pods are labels of DNS.
    assert re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", job["metadata"]["name"])
    assert len(job["metadata"]["name"]) <= 50
    for _, container in pods_of(job):
        assert container["name"] == "tensorflow", "by which the operator knows it"


def test_claims_are_of_the_published_type():
    for claim in CLAIMS:
        assert (claim["apiVersion"], claim["kind"]) == ("v1", "PersistentVolumeClaim")
        check(claim, "V1PersistentVolumeClaim", claim["metadata"]["name"])
        assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda job, container: container.update(volumeMount=[]),
            ValueError,
            r"Chief.template.spec.containers\[0\]: unknown key 'volumeMount'",
        ),
        (
            lambda job, container: job["spec"].update(tfReplicaSpec={}),
            ValueError,
            "unknown key 'tfReplicaSpec'",
        ),
        (
            lambda job, container: container.pop("name"),
            ValueError,
            "Invalid value for `name`, must not be `None`",
        ),
        (
            lambda job, container: job["spec"].pop("tfReplicaSpecs"),
            ValueError,
            "Invalid value for `tf_replica_specs`, must not be `None`",
        ),
        (
            lambda job, container: replicas_of(job)["Chief"].update(replicas="1"),
            TypeError,
            "Chief.replicas: must be int. Received: '1'",
        ),
        (
            lambda job, container: container["resources"]["limits"].update(cpu=4),
            TypeError,
            "limits.cpu: must be str. Received: 4",
        ),
        (
            lambda job, container: container.update(args="python"),
            TypeError,
            "args: must be list. Received: 'python'",
        ),
        (
            lambda job, container: replicas_of(job)["Chief"].update(replicas=True),
            TypeError,
            "Chief.replicas: must be int. Received: True",
        ),
    ],
)
def test_what_is_wrong_is_found(change, error, message):
    job = job_of("multi_worker_mirrored")
    change(job, next(pods_of(job))[1])
    with pytest.raises(error, match=message):
        check(job, "KubeflowOrgV1TFJob", "job")


# === What comes back ===


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_lost_processes_come_back(strategy):
    """ExitCode would take the status 1 of one that loses a peer for final."""
    job = job_of(strategy)
    policies = {kind: spec["restartPolicy"] for kind, spec in replicas_of(job).items()}
    served = "OnFailure" if strategy == "multi_worker_mirrored" else "Always"
    assert policies.pop("Chief") == "OnFailure", "its good end is that of the job"
    assert set(policies.values()) == {served}
    total = sum(spec["replicas"] for spec in replicas_of(job).values())
    assert job["spec"]["runPolicy"]["backoffLimit"] == 10 * total


# === Our program ===

PARSED = """
import json, sys
from absl import flags
from pipelines import train
from pipelines.config import load_config
arguments = sys.argv[1:]
assert flags.FLAGS(["train", *arguments]) == ["train"], "all are flags"
config = load_config(train.CONFIG.value).replaced(train.SET.value)
print(json.dumps({
    "strategy": train.STRATEGY.value,
    "workdir": train.WORKDIR.value,
    "data": config.data,
    "batch_size": config.batch_size,
    "num_shards": config.embedding_options.get("num_shards"),
}))
"""


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_command_is_one_of_the_program(strategy):
    job = job_of(strategy)
    commands = [container["args"] for _, container in pods_of(job)]
    assert all(command == commands[0] for command in commands)
    assert commands[0][:3] == ["python", "-m", "pipelines.train"]
    done = run_python("-c", PARSED, *commands[0][3:])
    parsed = json.loads(done.stdout)
    assert parsed["strategy"] == strategy
    assert parsed["data"] == "/data"
    assert parsed["workdir"].startswith("/runs/")
    numbers = {kind: spec["replicas"] for kind, spec in replicas_of(job).items()}
    if strategy == "multi_worker_mirrored":
        assert parsed["batch_size"] % sum(numbers.values()) == 0
    else:
        assert parsed["num_shards"] == numbers["PS"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_input_is_read_only_and_runs_are_shared(strategy):
    claims = {claim["metadata"]["name"] for claim in CLAIMS}
    for pod, container in pods_of(job_of(strategy)):
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        assert {mount["name"] for mount in mounts.values()} == set(volumes)
        assert {path for path, m in mounts.items() if m.get("readOnly")} == {"/data"}
        used = [v.get("persistentVolumeClaim") for v in volumes.values()]
        assert {claim["claimName"] for claim in used if claim} == claims


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_processes_may_little(strategy):
    for pod, container in pods_of(job_of(strategy)):
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        allowed = container["securityContext"]
        assert allowed["readOnlyRootFilesystem"]
        assert not allowed["allowPrivilegeEscalation"]
        assert allowed["capabilities"] == {"drop": ["ALL"]}
        resources = container["resources"]
        assert resources["limits"]["memory"] == resources["requests"]["memory"]


# === TF_CONFIG ===


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_operator_describes_a_cluster_that_we_take(strategy, monkeypatch):
    """For each process; its names are known in the cluster alone."""
    looked_up = set()
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, port, *_: looked_up.add((host, port))
    )
    job = job_of(strategy)
    name = job["metadata"]["name"]
    expected = {
        kind.lower(): tuple(
            f"{name}-{kind.lower()}-{i}.recs.svc:2222" for i in range(spec["replicas"])
        )
        for kind, spec in replicas_of(job).items()
    }
    for kind, spec in replicas_of(job).items():
        for index in range(spec["replicas"]):
            monkeypatch.setenv("TF_CONFIG", tf_config(job, kind, index))
            cluster = Cluster.from_environment()
            assert cluster.addresses == expected
            assert (cluster.task, cluster.index) == (kind.lower(), index)
            assert cluster.address == expected[kind.lower()][index]
    assert (f"{name}-chief-0.recs.svc", 2222) in looked_up


def test_another_port(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    job = job_of("multi_worker_mirrored")
    container = replicas_of(job)["Worker"]["template"]["spec"]["containers"][0]
    container["ports"] = [{"name": "tfjob-port", "containerPort": 4444}]
    check(job, "KubeflowOrgV1TFJob", "job")
    monkeypatch.setenv("TF_CONFIG", tf_config(job, "Worker", 0))
    assert Cluster.from_environment().address.endswith("-worker-0.recs.svc:4444")


@pytest.mark.large
@pytest.mark.distributed
@pytest.mark.parametrize("lost", [None, "Chief", "Worker"])
def test_a_chief_and_a_worker_train(lost, config_file, prepared, tmp_path):
    """The manifest's command, restarted as Kubernetes does: each process by itself."""
    job = job_of("multi_worker_mirrored")
    replicas_of(job)["Worker"]["replicas"] = 1
    _, container = next(pods_of(job))
    workdir = tmp_path / "run"
    command = [
        sys.executable,
        *container["args"][1:],
        f"--config={config_file}",  # of a flag that comes twice the last one counts
        f"--workdir={workdir}",
        f"--set=data={prepared}",
        "--set=epochs=2",
        "--checkpoint_steps=1",
    ]
    chief, worker = free_ports(2)
    cluster = {"chief": [f"127.0.0.1:{chief}"], "worker": [f"127.0.0.1:{worker}"]}

    def start(kind):
        config = {**json.loads(tf_config(job, kind, 0)), "cluster": cluster}
        environment = {**os.environ, "TF_CONFIG": json.dumps(config)}
        with open(tmp_path / f"{kind}.log", "ab") as log:
            return subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log
            )

    processes = {kind: start(kind) for kind in ("Chief", "Worker")}
    ended, killed = {kind: [] for kind in processes}, None
    deadline = time.monotonic() + 240
    try:
        while processes and time.monotonic() < deadline:
            if lost and list((workdir / "checkpoints").glob("state-*")):
                processes[lost].kill()
                killed, lost = lost, None
            for kind, process in list(processes.items()):
                if (status := process.poll()) is not None:
                    ended[kind].append(status)
                    del processes[kind]
                    if status:
                        processes[kind] = start(kind)
            time.sleep(0.1)
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
    said = "\n".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert [statuses[-1:] for statuses in ended.values()] == [[0], [0]], said
    assert lost is None, "there was a checkpoint to go on from"
    assert killed is None or ended[killed][0] == -signal.SIGKILL
    assert (workdir / "model.keras").exists()
    assert len((workdir / "history.csv").read_text().splitlines()) == 3
    assert not list((workdir / "workers").iterdir()), "the worker leaves nothing"


# === The image ===


def test_the_image_holds_what_programs_need():
    lines = (FOLDER / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [
        source
        for line in lines
        if line.startswith("COPY ")
        for source in line.split()[1:-1]
    ]
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    metadata = config["metadata"]
    needed = {metadata["long_description"].split()[-1], metadata["license_files"]}
    assert needed | {"setup.cfg", "setup.py", "keras_recs", "pipelines"} == set(copied)
    assert all((ROOT / source).exists() for source in copied)
    minimum = config["options"]["python_requires"].removeprefix(">=")
    assert f"FROM python:{minimum}-slim" in lines
    (user,) = [line.split()[1] for line in lines if line.startswith("USER ")]
    for strategy in STRATEGIES:
        for pod, _ in pods_of(job_of(strategy)):
            assert pod["securityContext"]["runAsUser"] == int(user)

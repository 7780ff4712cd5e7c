"""What a pod's status says, from its containers: phase and conditions as kubelet has them.

Source: pkg/kubelet/kubelet_pods.go, pkg/kubelet/status/generate.go."""


def _has_ended(container):
    return "terminated" in container.state or ("waiting" in container.state and "terminated" in container.last)


def phase_of(pod):
    if pod.final_phase:
        return pod.final_phase
    for c in pod.inits:
        failed = "terminated" in c.state and c.exit_code != 0
        if c.kind == "init" and not ("terminated" in c.state and c.exit_code == 0):
            return "Pending" if not (failed and c.over.is_set() and not pod.deleting) else "Failed"
        if c.kind == "sidecar" and not c.up.is_set():
            return "Pending"
    if any("waiting" in c.state and not _has_ended(c) for c in pod.apps):
        return "Pending"
    return "Running"


def _condition(kind, true, reason="", message=""):
    condition = {"type": kind, "status": "True" if true else "False"}
    if not true and reason:
        condition.update(reason=reason, message=message)
    return condition


def conditions_of(pod, phase):
    if phase == "Succeeded":
        uninitialized, unready, reason = [], [], "PodCompleted"
    else:
        uninitialized = [c.name for c in pod.inits if not (c.up.is_set() if c.kind == "sidecar" else c.exit_code == 0)]
        unready = [c.name for c in pod.containers if c.kind != "init" and not c.ready]
        reason = "PodFailed" if phase == "Failed" else "ContainersNotReady"
    finished = phase in ("Succeeded", "Failed")
    message = f"containers with unready status: [{' '.join(unready)}]" if unready else ""
    containers_ready = not unready and not finished
    gates = [g["conditionType"] for g in pod.obj["spec"].get("readinessGates") or []]
    given = {c["type"]: c["status"] for c in (pod.obj.get("status") or {}).get("conditions") or []}
    closed = [g for g in gates if given.get(g) != "True"]
    if containers_ready and closed:
        why = "; ".join(f'corresponding condition of pod readiness gate "{gate}" is not "True"' for gate in closed)
        ready = _condition("Ready", False, "ReadinessGatesNotReady", why)
    else:
        ready = _condition("Ready", containers_ready, reason, message)
    return [
        _condition("PodScheduled", True),  # here it is, though its author may have named the node
        _condition("PodReadyToStartContainers", pod.sandbox is not None),
        _condition("Initialized", not uninitialized, "ContainersNotInitialized",
                   f"containers with incomplete status: [{' '.join(uninitialized)}]"),
        _condition("ContainersReady", containers_ready, reason, message),
        ready,
    ]


def status_of(pod):
    """The part of .status that is the node's."""
    phase = phase_of(pod)
    result = {"phase": phase, "hostIP": pod.node.ip, "hostIPs": [{"ip": pod.node.ip}], "startTime": pod.start_time,
              "conditions": conditions_of(pod, phase), "containerStatuses": [c.status() for c in pod.apps],
              "qosClass": (pod.obj.get("status") or {}).get("qosClass", "BestEffort")}
    if pod.inits:
        result["initContainerStatuses"] = [c.status() for c in pod.inits]
    if pod.ip:
        # Else a strategic patch adds to the address of an earlier run.
        result.update(podIP=pod.ip, podIPs=[{"ip": pod.ip}, {"$patch": "replace"}])
    if pod.final_reason:
        result.update(reason=pod.final_reason[0], message=pod.final_reason[1])
    return result

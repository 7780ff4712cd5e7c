"""The environment of a container and what the downward API tells.

Order as kubelet: what Services there are, envFrom, env; $(NAME) is what was known before, $$ is one dollar."""
import math
import re

_REFERENCE = re.compile(r"\$(\$|\(([^)]*)\))")
_KEYED = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")
_SUFFIX = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
           "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ConfigError(Exception):
    """What the pod refers to is not there (yet)."""


def expand(text, known):
    """"$(NAME)" by its value; an unknown one stays as it is written."""
    def one(match):
        if match[1] == "$":
            return "$"
        return known.get(match[2], match[0])

    return _REFERENCE.sub(one, text)


def quantity(text):
    number, suffix = re.fullmatch(r"([0-9.]+(?:e[0-9]+)?)([a-zA-Z]*)", str(text)).groups()
    return float(number) * _SUFFIX[suffix]


def escaped(labels):
    """As a file of the downward API has them: NAME="VALUE", one a line, sorted."""
    def quoted(text):
        text = text.replace("\\", "\\\\").replace('"', '\\"')
        return text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")

    return "\n".join(f'{name}="{quoted(value)}"' for name, value in sorted((labels or {}).items()))


class Downward:
    """What a pod is told of itself."""

    def __init__(self, pod, capacity):
        self.pod, self.capacity = pod, capacity

    def field(self, path):
        meta, spec = self.pod.obj["metadata"], self.pod.obj["spec"]
        keyed = _KEYED.fullmatch(path)
        if keyed:
            return (meta.get(keyed[1]) or {}).get(keyed[2], "")
        values = {
            "metadata.name": lambda: meta["name"],
            "metadata.namespace": lambda: meta["namespace"],
            "metadata.uid": lambda: meta["uid"],
            "metadata.labels": lambda: escaped(meta.get("labels")),
            "metadata.annotations": lambda: escaped(meta.get("annotations")),
            "spec.nodeName": lambda: spec["nodeName"],
            "spec.serviceAccountName": lambda: spec.get("serviceAccountName", "default"),
            "status.podIP": lambda: self.pod.ip,
            "status.podIPs": lambda: self.pod.ip,
            "status.hostIP": lambda: self.pod.node.ip,
            "status.hostIPs": lambda: self.pod.node.ip,
        }
        if path not in values:
            raise ConfigError(f"unsupported fieldPath: {path}")
        return values[path]()

    def resource(self, reference, container):
        """A number: limits that are not set are the node's."""
        name = reference.get("containerName")
        if name:
            every = self.pod.obj["spec"]["containers"] + (self.pod.obj["spec"].get("initContainers") or [])
            container = next(c for c in every if c["name"] == name)
        side, _, what = reference["resource"].partition(".")
        resources = container.get("resources") or {}
        value = (resources.get(side) or {}).get(what)
        if value is None:
            value = self.capacity.get(what, "0") if side == "limits" else "0"
        divisor = quantity(reference.get("divisor") or "1") or 1
        return str(math.ceil(quantity(value) / divisor - 1e-9))


def service_variables(services, namespace, enabled):
    """NAME_SERVICE_HOST and friends of the namespace's Services, and always those of the API server."""
    result = {}
    for (where, name), service in sorted(services.items()):
        ip, ports = service["spec"].get("clusterIP"), service["spec"].get("ports")
        master = (where, name) == ("default", "kubernetes")
        if ip in (None, "", "None") or not ports or not (master or (enabled and where == namespace)):
            continue
        word = name.upper().replace("-", "_")
        result[word + "_SERVICE_HOST"] = ip
        result[word + "_SERVICE_PORT"] = str(ports[0]["port"])
        for port in ports:
            protocol, number = port.get("protocol", "TCP"), port["port"]
            if port.get("name"):
                result[f"{word}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(number)
            start = f"{word}_PORT_{number}_{protocol}"
            url = f"{protocol.lower()}://{ip}:{number}"
            result.setdefault(word + "_PORT", url)
            result.update({start: url, start + "_PROTO": protocol.lower(),
                           start + "_PORT": str(number), start + "_ADDR": ip})
    return result


class Environment:
    """Makes the variables of containers; `configs` gives ConfigMaps and Secrets as {key: bytes} (volumes.Configs)."""

    def __init__(self, configs, services, downward):
        self.configs, self.services, self.downward = configs, services, downward

    def keyed(self, kind, reference):
        namespace, name, key = self.downward.pod.namespace, reference["name"], reference["key"]
        values = self.configs.read(kind, namespace, name)
        if values is not None and key in values:
            return values[key].decode(errors="replace")
        if reference.get("optional"):
            return None
        if values is None:
            raise ConfigError(f'{kind} "{name}" not found')
        raise ConfigError(f"couldn't find key {key} in {kind} {namespace}/{name}")

    def from_source(self, source, container):
        if "fieldRef" in source:
            return self.downward.field(source["fieldRef"]["fieldPath"])
        if "resourceFieldRef" in source:
            return self.downward.resource(source["resourceFieldRef"], container)
        if "configMapKeyRef" in source:
            return self.keyed("configmap", source["configMapKeyRef"])
        if "secretKeyRef" in source:
            return self.keyed("secret", source["secretKeyRef"])
        raise ConfigError(f"unsupported source of a variable: {sorted(source)}")

    def make(self, container, image_env):
        pod = self.downward.pod
        enabled = pod.obj["spec"].get("enableServiceLinks", True)
        services = service_variables(self.services, pod.namespace, enabled)
        result = {}
        for entry in container.get("envFrom") or []:
            kind = "configmap" if "configMapRef" in entry else "secret"
            reference = entry.get("configMapRef") or entry.get("secretRef")
            values = self.configs.read(kind, pod.namespace, reference["name"])
            if values is None and not reference.get("optional"):
                raise ConfigError(f'{kind} "{reference["name"]}" not found')
            for key, value in (values or {}).items():
                result[entry.get("prefix", "") + key] = value.decode(errors="replace")
        for entry in container.get("env") or []:
            if "valueFrom" in entry:
                value = self.from_source(entry["valueFrom"], container)
            else:
                value = expand(entry.get("value", ""), {**services, **result})
            if value is not None:
                result[entry["name"]] = value
        return {"PATH": PATH, "HOSTNAME": pod.hostname, "HOME": "/", **image_env, **services, **result}

"""Drives the API server with the official Python client.

Called with the path of a kubeconfig. Each step ends in one line on stdout, `ok STEP` or `failed STEP: WHY`; the line
`restart` asks whoever called for another server on the same data, and waits for a line on stdin.
"""

import signal
import sys
import time
import traceback

from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

NAMESPACE = "default"


def service(name, labels=None, ports=None):
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"ipFamilyPolicy": "PreferDualStack", "ports": ports or [{"name": "http", "port": 80}]},
    }


def refused(code, reason, call, *args, **kwargs):
    """Makes a call that has to fail."""
    try:
        call(*args, **kwargs)
    except ApiException as error:
        assert error.status == code and f'"reason":"{reason}"' in str(error.body), (error.status, error.body)
        return
    raise AssertionError(f"{code} {reason} was expected, but the call succeeded")


def gone(read, *args):
    """Waits until an object is not found any more."""
    for _ in range(300):
        try:
            read(*args)
        except ApiException as error:
            assert error.status == 404, error
            return
        time.sleep(0.1)
    raise AssertionError("it is still there")


class Steps:
    def __init__(self):
        self.core = client.CoreV1Api()
        self.discovery = client.DiscoveryV1Api()
        self.networking = client.NetworkingV1Api()

    def create(self):
        made = self.core.create_namespaced_service(NAMESPACE, service("python-create"))
        assert made.metadata.uid and made.metadata.creation_timestamp, made
        assert made.spec.type == "ClusterIP" and made.spec.cluster_ips[0] == made.spec.cluster_ip, made
        assert made.spec.ip_families == ["IPv4", "IPv6"] and len(made.spec.cluster_ips) == 2, made
        read = self.core.read_namespaced_service("python-create", NAMESPACE)
        assert read == made, (read, made)
        refused(409, "AlreadyExists", self.core.create_namespaced_service, NAMESPACE, service("python-create"))
        wrong = service("python-wrong", ports=[{"port": 0}])
        refused(422, "Invalid", self.core.create_namespaced_service, NAMESPACE, wrong)
        refused(404, "NotFound", self.core.read_namespaced_service, "python-wrong", NAMESPACE)

    def list(self):
        expected = [f"python-list-{n:02}" for n in range(25)]
        for name in expected:
            self.core.create_namespaced_service(NAMESPACE, service(name, {"step": "python-list"}))
        names, versions, token, pages = [], set(), None, 0
        while pages == 0 or token:
            page = self.core.list_namespaced_service(
                NAMESPACE, label_selector="step=python-list", limit=10, _continue=token
            )
            names += [item.metadata.name for item in page.items]
            versions.add(page.metadata.resource_version)
            token, pages = page.metadata._continue, pages + 1
        assert names == expected and pages == 3 and len(versions) == 1, (names, pages, versions)
        everywhere = self.core.list_service_for_all_namespaces(field_selector="metadata.name=python-list-07")
        assert [item.metadata.name for item in everywhere.items] == ["python-list-07"], everywhere

    def watch(self):
        labels = {"step": "python-watch"}
        before = self.core.list_namespaced_service(NAMESPACE, label_selector="step=python-watch")
        version = before.metadata.resource_version
        watcher = watch.Watch()

        def events(since):
            """Goes on after every way in which a connection can end, as an informer does."""
            watcher.resource_version = since
            while True:
                try:
                    yield from watcher.stream(
                        self.core.list_namespaced_service,
                        NAMESPACE,
                        label_selector="step=python-watch",
                        resource_version=watcher.resource_version,
                    )
                except ApiException:
                    raise
                except Exception as error:
                    print(f"the watch goes on after {type(error).__name__}", file=sys.stderr)

        def seen(stream, count):
            found = [next(stream) for _ in range(count)]
            return [(event["type"], event["object"].metadata.name) for event in found]

        stream = events(version)
        self.core.create_namespaced_service(NAMESPACE, service("python-watch-a", labels))
        self.core.patch_namespaced_service(
            "python-watch-a", NAMESPACE, {"metadata": {"annotations": {"a": "b"}}}
        )
        first = seen(stream, 2)
        assert first == [("ADDED", "python-watch-a"), ("MODIFIED", "python-watch-a")], first
        middle = watcher.resource_version
        rest = [("ADDED", "python-watch-b"), ("DELETED", "python-watch-a"), ("ADDED", "python-watch-c")]
        self.core.create_namespaced_service(NAMESPACE, service("python-watch-b", labels))
        self.core.delete_namespaced_service("python-watch-a", NAMESPACE, _preload_content=False).read()
        # What is not read before the restart may be lost with the connection, and no server after it has it.
        assert seen(stream, 2) == rest[:2]
        restart()
        self.core.create_namespaced_service(NAMESPACE, service("python-watch-c", labels))
        assert seen(stream, 1) == rest[2:]
        # A client that was away meanwhile goes on, too, or is told to list again, as by Kubernetes (storage/cacher).
        for since, missed in [(middle, rest), (version, first + rest)]:
            try:
                assert seen(events(since), len(missed)) == missed
            except ApiException as error:
                assert error.status == 410 and "Expired" in error.reason, error
        listed = self.core.list_namespaced_service(NAMESPACE, label_selector="step=python-watch")
        assert [item.metadata.name for item in listed.items] == ["python-watch-b", "python-watch-c"], listed
        stream = events(listed.metadata.resource_version)
        self.core.create_namespaced_service(NAMESPACE, service("python-watch-d", labels))
        assert seen(stream, 1) == [("ADDED", "python-watch-d")]

    def json_patch(self):
        self.core.create_namespaced_service(NAMESPACE, service("python-json"))

        def patch(*operations):
            return self.core.patch_namespaced_service(
                "python-json", NAMESPACE, list(operations), _content_type="application/json-patch+json"
            )

        port = "/spec/ports/0/port"
        patched = patch({"op": "test", "path": port, "value": 80}, {"op": "replace", "path": port, "value": 81})
        assert patched.spec.ports[0].port == 81, patched
        refused(422, "Invalid", patch, {"op": "test", "path": port, "value": 80})

    def merge_patch(self):
        self.core.create_namespaced_service(NAMESPACE, service("python-merge", {"a": "1", "b": "2"}))
        body = {"metadata": {"labels": {"a": None, "c": "3"}}, "spec": {"ports": [{"name": "new", "port": 81}]}}
        patched = self.core.patch_namespaced_service(
            "python-merge", NAMESPACE, body, _content_type="application/merge-patch+json"
        )
        assert patched.metadata.labels == {"b": "2", "c": "3"}, patched
        # A merge patch replaces the whole list.
        assert [port.name for port in patched.spec.ports] == ["new"], patched

    def strategic_patch(self):
        self.core.create_namespaced_service(NAMESPACE, service("python-strategic"))

        def patch(ports):
            patched = self.core.patch_namespaced_service(
                "python-strategic",
                NAMESPACE,
                {"spec": {"ports": ports}},
                _content_type="application/strategic-merge-patch+json",
            )
            return {port.port: port.name for port in patched.spec.ports}

        # Items are merged by their port.
        assert patch([{"port": 443, "name": "https"}]) == {80: "http", 443: "https"}
        assert patch([{"port": 80, "$patch": "delete"}]) == {443: "https"}

    def apply_patch(self):
        def apply(ports):
            return self.core.patch_namespaced_service(
                "python-apply",
                NAMESPACE,
                service("python-apply", ports=ports),
                field_manager="python",
                force=True,
                _content_type="application/apply-patch+yaml",
            )

        http, https = {"name": "http", "port": 80}, {"name": "https", "port": 443}
        made = apply([http, https])
        assert [port.port for port in made.spec.ports] == [80, 443], made
        again = apply([http, https])
        assert again.metadata.resource_version == made.metadata.resource_version, (made, again)
        # What is not applied any more goes.
        assert [port.port for port in apply([https]).spec.ports] == [443]

    def conflict(self):
        old = self.core.create_namespaced_service(NAMESPACE, service("python-conflict"))
        old.metadata.labels = {"by": "a"}
        new = self.core.replace_namespaced_service("python-conflict", NAMESPACE, old)
        assert new.metadata.labels == {"by": "a"}, new
        old.metadata.labels = {"by": "b"}
        refused(409, "Conflict", self.core.replace_namespaced_service, "python-conflict", NAMESPACE, old)
        new.metadata.labels = {"by": "b"}
        self.core.replace_namespaced_service("python-conflict", NAMESPACE, new)
        other = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="other"))
        refused(
            409, "Conflict", self.core.delete_namespaced_service, "python-conflict", NAMESPACE, body=other
        )

    def delete_service(self):
        self.core.create_namespaced_service(NAMESPACE, service("python-delete"))
        # registry/core/service/storage: ReturnDeletedObject.
        deleted = self.core.delete_namespaced_service("python-delete", NAMESPACE)
        assert deleted.metadata.name == "python-delete" and deleted.spec.cluster_ip, deleted
        refused(404, "NotFound", self.core.read_namespaced_service, "python-delete", NAMESPACE)
        refused(404, "NotFound", self.core.delete_namespaced_service, "python-delete", NAMESPACE)

    def delete_services(self):
        for n in range(3):
            self.core.create_namespaced_service(NAMESPACE, service(f"python-all-{n}", {"step": "python-all"}))
        self.core.create_namespaced_service(NAMESPACE, service("python-all-other"))
        self.core.delete_collection_namespaced_service(NAMESPACE, label_selector="step=python-all")
        left = self.core.list_namespaced_service(NAMESPACE, label_selector="step=python-all")
        assert left.items == [], left
        self.core.read_namespaced_service("python-all-other", NAMESPACE)

    def delete_namespace(self):
        name = "python-namespace"
        self.core.create_namespace({"metadata": {"name": name}})
        self.core.create_namespaced_service(name, service("in-it"))
        # That it goes is looked at with what else needs its time.
        assert self.core.delete_namespace(name)["kind"] == "Namespace"

    def delete_event(self):
        event = {
            "metadata": {"name": "python-event"},
            "involvedObject": {"kind": "Service", "namespace": NAMESPACE, "name": "python-create"},
            "reason": "Tested",
            "message": "by the Python client",
            "type": "Normal",
        }
        self.core.create_namespaced_event(NAMESPACE, event)
        assert self.core.delete_namespaced_event("python-event", NAMESPACE)["status"] == "Success"
        refused(404, "NotFound", self.core.read_namespaced_event, "python-event", NAMESPACE)

    def delete_endpoint_slice(self):
        endpoint_slice = {
            "metadata": {"name": "python-slice", "labels": {"kubernetes.io/service-name": "python-create"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.244.1.5"]}],
            "ports": [{"name": "http", "port": 8080}],
        }
        self.discovery.create_namespaced_endpoint_slice(NAMESPACE, endpoint_slice)
        deleted = self.discovery.delete_namespaced_endpoint_slice("python-slice", NAMESPACE)
        assert deleted["status"] == "Success" and deleted["details"]["name"] == "python-slice", deleted
        refused(
            404, "NotFound", self.discovery.read_namespaced_endpoint_slice, "python-slice", NAMESPACE
        )

    def delete_service_cidr_and_ip_address(self):
        self.networking.create_service_cidr(
            {"metadata": {"name": "python-cidr"}, "spec": {"cidrs": ["10.123.0.0/24"]}}
        )
        parent = {"resource": "services", "namespace": NAMESPACE, "name": "python-create"}
        address = {"metadata": {"name": "10.123.0.9"}, "spec": {"parentRef": parent}}
        self.networking.create_ip_address(address)
        assert self.networking.delete_ip_address("10.123.0.9")["status"] == "Success"
        gone(self.networking.read_ip_address, "10.123.0.9")
        deleted = self.networking.delete_service_cidr("python-cidr")
        # Kubernetes gives it a finalizer, so its answer is the object, which goes 10 s later.
        assert deleted["kind"] == "ServiceCIDR" and deleted["metadata"]["deletionTimestamp"], deleted
        gone(self.networking.read_service_cidr, "python-cidr")
        gone(self.core.read_namespace, "python-namespace")
        refused(404, "NotFound", self.core.read_namespaced_service, "in-it", "python-namespace")


class TooLong(BaseException):
    """Ends a step, whatever it waits for and whatever it catches."""


def too_long(*_):
    raise TooLong("nothing goes on")


def restart():
    print("restart", flush=True)
    assert sys.stdin.readline() == "restarted\n"


def main():
    config.load_kube_config(sys.argv[1])
    steps = Steps()
    signal.signal(signal.SIGALRM, too_long)
    for name in [name for name in vars(Steps) if not name.startswith("_")]:
        signal.alarm(60)
        try:
            getattr(steps, name)()
            print(f"ok {name}", flush=True)
        except (Exception, TooLong) as error:
            traceback.print_exc()
            text = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"failed {name}: {text}", flush=True)


main()

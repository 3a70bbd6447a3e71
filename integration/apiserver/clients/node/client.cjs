// Drives the API server with Kubernetes' JavaScript client.
//
// Called with the path of a kubeconfig. Each step ends in one line on stdout, `ok STEP` or `failed STEP: WHY`; the line
// `restart` asks whoever called for another server on the same data, and waits for a line on stdin.

"use strict";

const assert = require("node:assert/strict");
const readline = require("node:readline");
const { setTimeout: sleep } = require("node:timers/promises");

const { CoreV1Api, DiscoveryV1Api, KubeConfig, NetworkingV1Api, PatchStrategy, Watch, setHeaderOptions } =
  require("@kubernetes/client-node");

const namespace = "default";
const kubeconfig = new KubeConfig();
kubeconfig.loadFromFile(process.argv[2]);
const core = kubeconfig.makeApiClient(CoreV1Api);
const discovery = kubeconfig.makeApiClient(DiscoveryV1Api);
const networking = kubeconfig.makeApiClient(NetworkingV1Api);
const input = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

function service(name, labels = {}, ports = [{ name: "http", port: 80 }]) {
  const spec = { ipFamilyPolicy: "PreferDualStack", ports };
  return { apiVersion: "v1", kind: "Service", metadata: { name, labels }, spec };
}

function create(body) {
  return core.createNamespacedService({ namespace, body });
}

function patch(strategy, name, body, more = {}) {
  return core.patchNamespacedService({ name, namespace, body, ...more }, setHeaderOptions("Content-Type", strategy));
}

function list(labelSelector, more = {}) {
  return core.listNamespacedService({ namespace, labelSelector, ...more });
}

const names = (items) => items.map((item) => item.metadata.name);
const ports = (of) => of.spec.ports.map((port) => port.port);

// Waits for an answer that has to be a failure.
async function refused(code, reason, answer) {
  await assert.rejects(answer, (error) => {
    assert.equal(error.code, code, String(error));
    assert.equal(JSON.parse(error.body).reason, reason);
    return true;
  });
}

// Waits until an object is not found any more.
async function gone(read) {
  for (let tries = 0; tries < 300; tries++) {
    try {
      await read();
    } catch (error) {
      assert.equal(error.code, 404, String(error));
      return;
    }
    await sleep(100);
  }
  assert.fail("it is still there");
}

// What is watched, over as many connections as it takes.
class Events {
  constructor(labelSelector, resourceVersion) {
    this.query = { labelSelector, resourceVersion };
    this.found = [];
    this.wake = () => {};
    this.connect();
  }

  async connect() {
    this.connection = await new Watch(kubeconfig).watch(
      `/api/v1/namespaces/${namespace}/services`,
      this.query,
      (type, object) => {
        if (type !== "ERROR") {
          this.query.resourceVersion = object.metadata.resourceVersion;
        }
        this.found.push([type, type === "ERROR" ? object.reason : object.metadata.name]);
        this.wake();
      },
      async () => {
        if (!this.stopped) {
          await sleep(50);
          this.connect();
        }
      },
    );
  }

  // The next `count` events, or all up to an error.
  async next(count) {
    const deadline = Date.now() + 30_000;
    while (this.found.length < count && !this.found.some(([type]) => type === "ERROR")) {
      assert(Date.now() < deadline, `${count} events were expected: ${JSON.stringify(this.found)}`);
      await Promise.race([new Promise((wake) => (this.wake = wake)), sleep(1000)]);
    }
    return this.found.splice(0, count);
  }

  stop() {
    this.stopped = true;
    this.connection?.abort();
  }
}

async function restart() {
  console.log("restart");
  assert.equal((await input.next()).value, "restarted");
}

const steps = {
  async create() {
    const made = await create(service("node-create"));
    assert(made.metadata.uid && made.metadata.creationTimestamp instanceof Date);
    assert.equal(made.spec.type, "ClusterIP");
    assert.deepEqual(made.spec.ipFamilies, ["IPv4", "IPv6"]);
    assert.equal(made.spec.clusterIPs.length, 2);
    assert.deepEqual(await core.readNamespacedService({ name: "node-create", namespace }), made);
    await refused(409, "AlreadyExists", create(service("node-create")));
    await refused(422, "Invalid", create(service("node-wrong", {}, [{ port: 0 }])));
    await refused(404, "NotFound", core.readNamespacedService({ name: "node-wrong", namespace }));
  },

  async list() {
    const expected = [...Array(25).keys()].map((n) => `node-list-${String(n).padStart(2, "0")}`);
    for (const name of expected) {
      await create(service(name, { step: "node-list" }));
    }
    const [found, versions] = [[], new Set()];
    let [token, pages] = [undefined, 0];
    do {
      const page = await list("step=node-list", { limit: 10, _continue: token });
      found.push(...names(page.items));
      versions.add(page.metadata.resourceVersion);
      token = page.metadata._continue;
      pages++;
    } while (token);
    assert.deepEqual([found, pages, versions.size], [expected, 3, 1]);
    const everywhere = await core.listServiceForAllNamespaces({ fieldSelector: "metadata.name=node-list-07" });
    assert.deepEqual(names(everywhere.items), ["node-list-07"]);
  },

  async watch() {
    const [selector, labels] = ["step=node-watch", { step: "node-watch" }];
    const version = (await list(selector)).metadata.resourceVersion;
    const events = new Events(selector, version);
    await create(service("node-watch-a", labels));
    await patch(PatchStrategy.MergePatch, "node-watch-a", { metadata: { annotations: { a: "b" } } });
    const first = [["ADDED", "node-watch-a"], ["MODIFIED", "node-watch-a"]];
    assert.deepEqual(await events.next(2), first);
    await restart();
    await create(service("node-watch-b", labels));
    assert.deepEqual(await events.next(1), [["ADDED", "node-watch-b"]]);
    await restart();
    await patch(PatchStrategy.MergePatch, "node-watch-b", { metadata: { annotations: { a: "b" } } });
    assert.deepEqual(await events.next(1), [["MODIFIED", "node-watch-b"]]);
    await core.deleteNamespacedService({ name: "node-watch-a", namespace });
    assert.deepEqual(await events.next(1), [["DELETED", "node-watch-a"]]);
    events.stop();
    // One that was away meanwhile goes on, too, or is told to list again, as by Kubernetes (storage/cacher).
    const away = new Events(selector, version);
    const found = await away.next(5);
    away.stop();
    if (found[0][0] === "ERROR") {
      assert.deepEqual(found, [["ERROR", "Expired"]]);
    } else {
      const rest = [["ADDED", "node-watch-b"], ["MODIFIED", "node-watch-b"], ["DELETED", "node-watch-a"]];
      assert.deepEqual(found, [...first, ...rest]);
    }
    assert.deepEqual(names((await list(selector)).items), ["node-watch-b"]);
  },

  async json_patch() {
    await create(service("node-json"));
    const path = "/spec/ports/0/port";
    const operations = [{ op: "test", path, value: 80 }, { op: "replace", path, value: 81 }];
    assert.deepEqual(ports(await patch(PatchStrategy.JsonPatch, "node-json", operations)), [81]);
    await refused(422, "Invalid", patch(PatchStrategy.JsonPatch, "node-json", operations));
  },

  async merge_patch() {
    await create(service("node-merge", { a: "1", b: "2" }));
    const body = { metadata: { labels: { a: null, c: "3" } }, spec: { ports: [{ name: "new", port: 81 }] } };
    const patched = await patch(PatchStrategy.MergePatch, "node-merge", body);
    assert.deepEqual(patched.metadata.labels, { b: "2", c: "3" });
    // A merge patch replaces the whole list.
    assert.deepEqual(ports(patched), [81]);
  },

  async strategic_patch() {
    await create(service("node-strategic"));
    const merged = (items) => patch(PatchStrategy.StrategicMergePatch, "node-strategic", { spec: { ports: items } });
    // Items are merged by their port.
    assert.deepEqual(ports(await merged([{ port: 443, name: "https" }])).sort(), [443, 80]);
    assert.deepEqual(ports(await merged([{ port: 80, $patch: "delete" }])), [443]);
  },

  async apply_patch() {
    const apply = (items) =>
      patch(PatchStrategy.ServerSideApply, "node-apply", service("node-apply", {}, items), {
        fieldManager: "node",
        force: true,
      });
    const [http, https] = [{ name: "http", port: 80 }, { name: "https", port: 443 }];
    const made = await apply([http, https]);
    assert.deepEqual(ports(made), [80, 443]);
    assert.equal((await apply([http, https])).metadata.resourceVersion, made.metadata.resourceVersion);
    // What is not applied any more goes.
    assert.deepEqual(ports(await apply([https])), [443]);
  },

  async conflict() {
    const name = "node-conflict";
    const old = await create(service(name));
    const replace = (body) => core.replaceNamespacedService({ name, namespace, body });
    old.metadata.labels = { by: "a" };
    const replaced = await replace(old);
    assert.deepEqual(replaced.metadata.labels, { by: "a" });
    old.metadata.labels = { by: "b" };
    await refused(409, "Conflict", replace(old));
    replaced.metadata.labels = { by: "b" };
    await replace(replaced);
    const body = { preconditions: { uid: "other" } };
    await refused(409, "Conflict", core.deleteNamespacedService({ name, namespace, body }));
  },

  async delete_service() {
    const name = "node-delete";
    await create(service(name));
    // registry/core/service/storage: ReturnDeletedObject.
    const deleted = await core.deleteNamespacedService({ name, namespace });
    assert.deepEqual([deleted.kind, deleted.metadata.name], ["Service", name]);
    await refused(404, "NotFound", core.readNamespacedService({ name, namespace }));
    await refused(404, "NotFound", core.deleteNamespacedService({ name, namespace }));
  },

  async delete_services() {
    for (const name of ["node-all-0", "node-all-1", "node-all-2"]) {
      await create(service(name, { step: "node-all" }));
    }
    await create(service("node-all-other"));
    await core.deleteCollectionNamespacedService({ namespace, labelSelector: "step=node-all" });
    assert.deepEqual((await list("step=node-all")).items, []);
    await core.readNamespacedService({ name: "node-all-other", namespace });
  },

  async delete_namespace() {
    const name = "node-namespace";
    await core.createNamespace({ body: { metadata: { name } } });
    await core.createNamespacedService({ namespace: name, body: service("in-it") });
    assert.equal((await core.deleteNamespace({ name })).kind, "Namespace");
    await gone(() => core.readNamespace({ name }));
    await refused(404, "NotFound", core.readNamespacedService({ name: "in-it", namespace: name }));
  },

  async delete_event() {
    const name = "node-event";
    const involvedObject = { kind: "Service", namespace, name: "node-create" };
    const body = { metadata: { name }, involvedObject, reason: "Tested", message: "by JavaScript", type: "Normal" };
    await core.createNamespacedEvent({ namespace, body });
    assert.equal((await core.deleteNamespacedEvent({ name, namespace })).status, "Success");
    await refused(404, "NotFound", core.readNamespacedEvent({ name, namespace }));
  },

  async delete_endpoint_slice() {
    const name = "node-slice";
    const body = {
      metadata: { name, labels: { "kubernetes.io/service-name": "node-create" } },
      addressType: "IPv6",
      endpoints: [{ addresses: ["2001:db8::5"] }],
      ports: [{ name: "http", port: 8080 }],
    };
    await discovery.createNamespacedEndpointSlice({ namespace, body });
    const deleted = await discovery.deleteNamespacedEndpointSlice({ name, namespace });
    assert.deepEqual([deleted.status, deleted.details.name], ["Success", name]);
    await refused(404, "NotFound", discovery.readNamespacedEndpointSlice({ name, namespace }));
  },

  async delete_service_cidr_and_ip_address() {
    const [cidr, address] = ["node-cidr", "2001:db8:123::9"];
    await networking.createServiceCIDR({ body: { metadata: { name: cidr }, spec: { cidrs: ["2001:db8:123::/112"] } } });
    const parentRef = { resource: "services", namespace, name: "node-create" };
    await networking.createIPAddress({ body: { metadata: { name: address }, spec: { parentRef } } });
    assert.equal((await networking.deleteIPAddress({ name: address })).status, "Success");
    await gone(() => networking.readIPAddress({ name: address }));
    // Kubernetes gives it a finalizer, so its answer is the object, which goes 10 s later. Python's client waits for it.
    assert.equal((await networking.deleteServiceCIDR({ name: cidr })).kind, "ServiceCIDR");
  },
};

async function main() {
  for (const [name, step] of Object.entries(steps)) {
    try {
      await step();
      console.log(`ok ${name}`);
    } catch (error) {
      console.error(error);
      console.log(`failed ${name}: ${String(error).split(/\s+/).join(" ")}`);
    }
  }
  process.exit(0);
}

main();

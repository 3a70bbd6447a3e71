//! The recorded tables, line by line: creates in a dry run and for good, and changes.

use serde_json::{Value, json};

use crate::kinds::testing::{Cluster, IPS, SERVICES, lines, none_differs, outcome};

const DUAL: &str = include_str!("../../../../../../integration/vectors/services/create-dual.jsonl");
const SINGLE: &str = include_str!("../../../../../../integration/vectors/services/create-single.jsonl");
const UPDATES: &str = include_str!("../../../../../../integration/vectors/services/update-dual.jsonl");

const DUAL_RANGES: &str = "10.96.0.0/28,2001:db8:fd00::/112";
const SINGLE_RANGES: &str = "10.96.0.0/24";
/// The networks of addresses that nobody asked for: a dry run gets the address of the network itself.
const DRY: [(&str, &str); 2] = [("<v4>", "10.96.0.0/32"), ("<v6>", "2001:db8:fd00::/128")];
const REAL: [(&str, &str); 2] = [("<v4>", "10.96.0.0/24"), ("<v6>", "2001:db8:fd00::/112")];

fn given(spec: &Value) -> Vec<String> {
    let listed = spec["clusterIPs"].as_array().into_iter().flatten();
    listed.chain([&spec["clusterIP"]]).filter_map(Value::as_str).map(str::to_owned).collect()
}

fn compare(differences: &mut Vec<String>, line: &Value, found: &Value, expected: &Value) {
    if found != expected {
        let what = line.get("spec").or(line.get("patch")).unwrap();
        let number = &line["line"];
        differences.push(format!("line {number}: {what}\n  expected {expected}\n  found    {found}"));
    }
}

fn expected(line: &Value) -> Value {
    match line.get("ok") {
        Some(ok) => json!({"ok": ok}),
        None => json!({"code": line["code"], "message": line["message"]}),
    }
}

fn creations(table: &str, ranges: &str, dry_run: bool) {
    let mut differences = Vec::new();
    let lines = lines(table);
    assert_eq!(lines.len(), 322);
    for line in &lines {
        let mut cluster = Cluster::new(ranges);
        cluster.store.dry_run = dry_run;
        let before = cluster.names(IPS);
        let result = cluster.service("m", line["spec"].clone());
        let networks = if dry_run { DRY } else { REAL };
        let found = outcome(&result, &given(&line["spec"]), networks);
        let mut expected = expected(line);
        if !dry_run {
            as_kept(&mut expected, &line["spec"]);
        }
        compare(&mut differences, line, &found, &expected);
        let own = outcome(&result, &[], REAL)["ok"]["clusterIPs"].as_array().map_or(0, Vec::len);
        let is_headless = found["ok"]["clusterIPs"][0] == "None";
        let added = if dry_run || is_headless { 0 } else { own };
        assert_eq!(cluster.names(IPS).len(), before.len() + added, "{line}");
    }
    none_differs(&differences);
}

/// Turns the answer to a dry run into that to a create: the address of the Service `kubernetes` is taken, and an
/// address in no range has another message.
fn as_kept(expected: &mut Value, spec: &Value) {
    if expected.get("ok").is_some() && spec["clusterIP"] == "10.96.0.1" {
        let has_second = expected["ok"]["clusterIPs"].as_array().unwrap().len() == 2;
        let shown = if has_second { r#"["10.96.0.1",""]"# } else { r#"["10.96.0.1"]"# };
        let message = format!(
            "Service \"m\" is invalid: spec.clusterIPs: Invalid value: {shown}: failed to allocate IP 10.96.0.1: \
             provided IP is already allocated"
        );
        *expected = json!({"code": 422, "message": message});
    } else if let Some(message) = expected["message"].as_str() {
        let start = message.split("the provided IP (").next().unwrap();
        if start != message {
            expected["message"] =
                format!("{start}the provided network does not match the current range").into();
        }
    }
}

#[test]
fn dual_stack_creations_that_are_not_kept() {
    creations(DUAL, DUAL_RANGES, true);
}

#[test]
fn dual_stack_creations() {
    creations(DUAL, DUAL_RANGES, false);
}

#[test]
fn single_stack_creations_that_are_not_kept() {
    creations(SINGLE, SINGLE_RANGES, true);
}

#[test]
fn single_stack_creations() {
    creations(SINGLE, SINGLE_RANGES, false);
}

fn changes(dry_run: bool) {
    let mut differences = Vec::new();
    for case in lines(UPDATES) {
        let mut cluster = Cluster::new(DUAL_RANGES);
        let created = cluster.service("u", case["spec"].clone());
        assert!(created.is_ok(), "{case}: {created:?}");
        let own = given(&case["spec"]);
        for step in case["steps"].as_array().unwrap() {
            let patch = json!({"spec": step["patch"]});
            let mut found = Value::Null;
            let networks = if dry_run { DRY } else { REAL };
            if dry_run {
                let before = cluster.store.objects.clone();
                cluster.store.dry_run = true;
                found = outcome(&cluster.patch(SERVICES, "u", &patch), &own, networks);
                cluster.store.dry_run = false;
                assert_eq!(cluster.store.objects, before);
            }
            let kept = cluster.patch(SERVICES, "u", &patch);
            if !dry_run {
                // If an address that was given back is assigned again, nobody asked for it.
                let own = if case["line"] == 61 { &[][..] } else { &own };
                found = outcome(&kept, own, networks);
            }
            let mut expected = expected(step);
            if let Some(message) = expected["message"].as_str() {
                expected["message"] = format!("Service \"u\" is invalid: {message}").into();
            }
            compare(&mut differences, step, &found, &expected);
            every_address_is_booked(&cluster);
        }
        cluster.delete(SERVICES, "u").unwrap();
        assert_eq!(cluster.names(IPS), ["10.96.0.1"]);
    }
    none_differs(&differences);
}

fn every_address_is_booked(cluster: &Cluster) {
    let services = cluster.store.all(SERVICES);
    let mut used: Vec<String> = services.iter().flat_map(|service| given(service.spec())).collect();
    used.retain(|ip| ip != "None");
    used.sort_unstable();
    used.dedup();
    let mut booked = cluster.names(IPS);
    booked.sort_unstable();
    assert_eq!(used, booked);
}

#[test]
fn changes_that_are_kept() {
    changes(false);
}

#[test]
fn changes_that_are_tried_first() {
    changes(true);
}

#[test]
fn the_lines_behind_the_tables() {
    let mut cluster = Cluster::new(DUAL_RANGES);
    let asked = json!({"ports": [{"port": 80}], "clusterIP": "10.96.0.9"});
    cluster.service("u", asked.clone()).unwrap();
    let error = |result: Result<_, crate::status::ApiError>| result.unwrap_err().message;
    assert_eq!(
        error(cluster.service("u2", asked.clone())),
        "Service \"u2\" is invalid: spec.clusterIPs: Invalid value: [\"10.96.0.9\"]: failed to allocate IP 10.96.0.9: \
         provided IP is already allocated"
    );
    let twice = cluster.service("u", asked).unwrap_err();
    assert_eq!((twice.code, twice.message.as_str()), (409, "services \"u\" already exists"));
    let spec = json!({"ports": [{"port": 80}]});
    assert_eq!(
        error(cluster.service("Bad_Name", spec.clone())),
        "Service \"Bad_Name\" is invalid: metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 label must \
         consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character \
         (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    );
    cluster.service("9abc", spec).unwrap();
    assert_eq!(error(cluster.delete(SERVICES, "nope")), "services \"nope\" not found");
    let before = cluster.get(SERVICES, "kubernetes").unwrap();
    cluster.delete(SERVICES, "kubernetes").unwrap();
    let again = cluster.get(SERVICES, "kubernetes").unwrap();
    assert_eq!(again.spec()["clusterIPs"], json!(["10.96.0.1"]));
    assert_ne!(again.uid(), before.uid());
}

//! `k8s.io/apimachinery/pkg/apis/meta/v1`.

use super::{Field, Form, Type};

/// `apiVersion` and `kind`. Protobuf has them in the envelope, so their numbers here are never sent.
pub(crate) const API_VERSION: Field = Field::new(
    1001,
    "apiVersion",
    Form::Text,
    "The API group and version that this object is written in, such as networking.k8s.io/v1.",
);
/// See [`API_VERSION`].
pub(crate) const KIND: Field =
    Field::new(1002, "kind", Form::Text, "What kind of object this is, in CamelCase.");
/// `metadata`, the same in every kind.
pub(crate) const METADATA: Field = Field::new(
    1,
    "metadata",
    Form::Object(&OBJECT_META),
    "What every object has: its name, labels, and so on.",
);

/// `ObjectMeta`.
pub static OBJECT_META: Type = Type::new(
    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
    "What every object has, whatever its kind.",
    &[
        Field::new(
            1,
            "name",
            Form::Text,
            "The name, unique among objects of its kind in its namespace. It cannot be changed.",
        ),
        Field::new(2, "generateName", Form::Text, "How a generated name begins, where no name is given."),
        Field::new(
            3,
            "namespace",
            Form::Text,
            "The namespace that the object is in, for kinds that have one.",
        ),
        Field::new(4, "selfLink", Form::Text, "No longer in use."),
        Field::new(
            5,
            "uid",
            Form::Text,
            "Tells this object from all others, also from earlier ones of the same name.",
        ),
        Field::new(
            6,
            "resourceVersion",
            Form::Text,
            "Changes with every change of the object. A change that gives an older one is refused.",
        ),
        Field::new(7, "generation", Form::Int64, "Counts the changes of the desired state."),
        Field::new(8, "creationTimestamp", Form::Time, "When the object was made, in UTC."),
        Field::new(
            9,
            "deletionTimestamp",
            Form::Time,
            "When deletion was asked for. The object goes when its finalizers are gone.",
        ),
        Field::new(
            10,
            "deletionGracePeriodSeconds",
            Form::Int64,
            "How many seconds the object may take to end.",
        )
        .pointer(),
        Field::new(11, "labels", Form::Texts, "Names and values to select objects by."),
        Field::new(
            12,
            "annotations",
            Form::Texts,
            "Names and values for tools; nothing is selected by them.",
        ),
        Field::new(
            13,
            "ownerReferences",
            Form::List(&Form::Object(&OWNER_REFERENCE)),
            "The objects that this one belongs to.",
        )
        .keyed("uid", &["uid"]),
        Field::new(14, "finalizers", Form::List(&Form::Text), "Who has work to do before the object may go.")
            .set(),
        Field::new(
            17,
            "managedFields",
            Form::List(&Form::Object(&MANAGED_FIELDS)),
            "Which manager applied which fields.",
        ),
    ],
);

static OWNER_REFERENCE: Type = Type::new(
    "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference",
    "An object that another one belongs to.",
    &[
        Field::new(5, "apiVersion", Form::Text, "The owner's API group and version.").required(),
        Field::new(1, "kind", Form::Text, "The owner's kind.").required(),
        Field::new(3, "name", Form::Text, "The owner's name.").required(),
        Field::new(4, "uid", Form::Text, "The owner's uid.").required(),
        Field::new(6, "controller", Form::Boolean, "Whether the owner is the one that controls the object.")
            .pointer(),
        Field::new(
            7,
            "blockOwnerDeletion",
            Form::Boolean,
            "Whether the owner waits for the object to be deleted first.",
        )
        .pointer(),
    ],
);

static MANAGED_FIELDS: Type = Type::new(
    "io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry",
    "The fields of one manager.",
    &[
        Field::new(1, "manager", Form::Text, "The manager's name."),
        Field::new(2, "operation", Form::Text, "Apply or Update."),
        Field::new(3, "apiVersion", Form::Text, "The version that the fields are of."),
        Field::new(4, "time", Form::Time, "When the fields last changed."),
        Field::new(6, "fieldsType", Form::Text, "Always FieldsV1."),
        Field::new(7, "fieldsV1", Form::Any, "The fields, as a tree of their names."),
        Field::new(8, "subresource", Form::Text, "The subresource by which they were changed."),
    ],
);

/// `Condition`.
pub static CONDITION: Type = Type::new(
    "io.k8s.apimachinery.pkg.apis.meta.v1.Condition",
    "One aspect of an object's state.",
    &[
        Field::new(1, "type", Form::Text, "Which aspect.").required(),
        Field::new(2, "status", Form::Text, "True, False or Unknown.").required(),
        Field::new(3, "observedGeneration", Form::Int64, "The metadata.generation that it was true of."),
        Field::new(4, "lastTransitionTime", Form::Time, "When the status last changed.").required(),
        Field::new(5, "reason", Form::Text, "Why, in one word.").required(),
        Field::new(6, "message", Form::Text, "Why, for people.").required(),
    ],
);

/// `DeleteOptions`.
pub static DELETE_OPTIONS: Type = Type::new(
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    "How an object is to be deleted.",
    &[
        API_VERSION,
        KIND,
        Field::new(1, "gracePeriodSeconds", Form::Int64, "How many seconds the object may take to end.")
            .pointer(),
        Field::new(2, "preconditions", Form::Object(&PRECONDITIONS), "What has to be true of the object.")
            .pointer(),
        Field::new(3, "orphanDependents", Form::Boolean, "No longer in use; see propagationPolicy.")
            .pointer(),
        Field::new(4, "propagationPolicy", Form::Text, "Orphan, Background or Foreground.").pointer(),
        Field::new(5, "dryRun", Form::List(&Form::Text), "All: nothing is deleted."),
        Field::new(
            6,
            "ignoreStoreReadErrorWithClusterBreakingPotential",
            Form::Boolean,
            "Has no effect here.",
        ),
    ],
);

static PRECONDITIONS: Type = Type::new(
    "io.k8s.apimachinery.pkg.apis.meta.v1.Preconditions",
    "What has to be true of an object.",
    &[
        Field::new(1, "uid", Form::Text, "Its uid.").pointer(),
        Field::new(2, "resourceVersion", Form::Text, "Its resource version.").pointer(),
    ],
);

/// `LabelSelector`.
pub(crate) static LABEL_SELECTOR: Type = Type::new(
    "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector",
    "Selects objects that meet all of its requirements.",
    &[
        Field::new(1, "matchLabels", Form::Texts, "Labels that objects have to have."),
        Field::new(
            2,
            "matchExpressions",
            Form::List(&Form::Object(&LABEL_SELECTOR_REQUIREMENT)),
            "Requirements of single labels.",
        ),
    ],
);

static LABEL_SELECTOR_REQUIREMENT: Type = Type::new(
    "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement",
    "A requirement of one label.",
    &[
        Field::new(1, "key", Form::Text, "The label.").required(),
        Field::new(2, "operator", Form::Text, "In, NotIn, Exists or DoesNotExist.").required(),
        Field::new(3, "values", Form::List(&Form::Text), "The values that In and NotIn mean."),
    ],
);

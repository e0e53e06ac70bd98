"""Manifests: from text to the desired set, and whose object is whose.

May live here: reading YAML and JSON as kubectl does, the rules of sync-semantics.md 2.1 and 5, canonical forms.
May not: comparing with live objects (`diff`), hooks, health, plans, Django, I/O, a clock.

Public interface (shapes and errors stand at each function):

- `load_documents(data, path=, duplicate_keys="error"|"warn") -> Documents`: the objects of a text, or ManifestError.
- `manifests_of_file(path, data) -> FileManifests` for directory sources; `manifests_of_output(data)` for programs.
- `desired_set(objects, namespace=, namespaced=, excluded_kinds=, origins=) -> DesiredSet`.
- `clean(obj)`: without server fields and nulls, Secrets with `data` only.
- `stamp(manifest, application, hub_id, destination_namespace)`, `tracking_id`, `parse_tracking_id`,
  `is_self_reference`, `owner_of(live, application=, hub_id=, target=) -> Owner`, `managed_by(live, application, hub_id)`.
- `canonical_json(value) -> bytes`, `desired_hash(manifest, key) -> hex`.
"""

from __future__ import annotations

from clusters.core.manifests.build import HAS_C_PARSER as HAS_C_PARSER
from clusters.core.manifests.build import separate as separate
from clusters.core.manifests.canonical import canonical_json as canonical_json
from clusters.core.manifests.canonical import desired_hash as desired_hash
from clusters.core.manifests.canonical import is_secret as is_secret
from clusters.core.manifests.clean import InvalidSecret as InvalidSecret
from clusters.core.manifests.clean import clean as clean
from clusters.core.manifests.clean import is_built_in as is_built_in
from clusters.core.manifests.clean import with_encoded_data as with_encoded_data
from clusters.core.manifests.desired import DesiredSet as DesiredSet
from clusters.core.manifests.desired import Finding as Finding
from clusters.core.manifests.desired import InvalidObject as InvalidObject
from clusters.core.manifests.desired import desired_set as desired_set
from clusters.core.manifests.documents import Documents as Documents
from clusters.core.manifests.documents import load_documents as load_documents
from clusters.core.manifests.errors import DEFAULT_LIMITS as DEFAULT_LIMITS
from clusters.core.manifests.errors import Limits as Limits
from clusters.core.manifests.errors import ManifestError as ManifestError
from clusters.core.manifests.errors import ManifestWarning as ManifestWarning
from clusters.core.manifests.files import FileManifests as FileManifests
from clusters.core.manifests.files import expand_lists as expand_lists
from clusters.core.manifests.files import manifests_of_file as manifests_of_file
from clusters.core.manifests.files import manifests_of_output as manifests_of_output
from clusters.core.manifests.keys import FIELD_MANAGER as FIELD_MANAGER
from clusters.core.manifests.keys import FINGERPRINT_ANNOTATION as FINGERPRINT_ANNOTATION
from clusters.core.manifests.keys import HOOK_FINALIZER as HOOK_FINALIZER
from clusters.core.manifests.keys import LAST_APPLIED_ANNOTATION as LAST_APPLIED_ANNOTATION
from clusters.core.manifests.keys import MANAGED_BY_LABEL as MANAGED_BY_LABEL
from clusters.core.manifests.keys import OPERATION_ANNOTATION as OPERATION_ANNOTATION
from clusters.core.manifests.keys import TRACKING_ANNOTATION as TRACKING_ANNOTATION
from clusters.core.manifests.keys import Manifest as Manifest
from clusters.core.manifests.keys import ResourceKey as ResourceKey
from clusters.core.manifests.keys import group_of as group_of
from clusters.core.manifests.keys import key_of as key_of
from clusters.core.manifests.keys import metadata_map as metadata_map
from clusters.core.manifests.tracking import ARGOCD_FIELD_MANAGER as ARGOCD_FIELD_MANAGER
from clusters.core.manifests.tracking import ARGOCD_INSTALLATION_ANNOTATION as ARGOCD_INSTALLATION_ANNOTATION
from clusters.core.manifests.tracking import ARGOCD_TRACKING_ANNOTATION as ARGOCD_TRACKING_ANNOTATION
from clusters.core.manifests.tracking import Owner as Owner
from clusters.core.manifests.tracking import TrackingId as TrackingId
from clusters.core.manifests.tracking import is_self_reference as is_self_reference
from clusters.core.manifests.tracking import managed_by as managed_by
from clusters.core.manifests.tracking import owner_of as owner_of
from clusters.core.manifests.tracking import parse_tracking_id as parse_tracking_id
from clusters.core.manifests.tracking import stamp as stamp
from clusters.core.manifests.tracking import tracking_id as tracking_id

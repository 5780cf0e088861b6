"""What KEDA's kinds take, as far as the manifests use it.

Source: KEDA's custom resource definitions (config/crd/bases in kedacore/keda). A key that is not
here is refused.
"""

from __future__ import annotations

from typing import Any

_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


def _kind(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return _object(
        {
            "apiVersion": {"const": "keda.sh/v1alpha1"},
            "kind": {"const": name},
            "metadata": _object({"name": _TEXT}),
            "spec": spec,
        }
    )


_POLICY = _object(
    {
        "type": {"enum": ["Pods", "Percent"]},
        "value": {"type": "integer", "minimum": 1},
        "periodSeconds": {"type": "integer", "minimum": 1, "maximum": 1800},
    }
)
_RULES = _object(
    {},
    {
        "stabilizationWindowSeconds": {"type": "integer", "minimum": 0, "maximum": 3600},
        "selectPolicy": {"enum": ["Max", "Min", "Disabled"]},
        "policies": _list(_POLICY),
    },
)
_TRIGGER = _object(
    {
        "type": _TEXT,
        # Numbers and truth values are written as strings too.
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    {"name": _TEXT, "authenticationRef": _object({"name": _TEXT}, {"kind": _TEXT})},
)

KEDA_SCHEMAS: dict[str, dict[str, Any]] = {
    "ScaledObject": _kind(
        "ScaledObject",
        _object(
            {
                "scaleTargetRef": _object({"name": _TEXT}, {"kind": _TEXT, "apiVersion": _TEXT}),
                "triggers": _list(_TRIGGER),
            },
            {
                "minReplicaCount": _COUNT,
                "maxReplicaCount": _COUNT,
                "pollingInterval": _COUNT,
                "cooldownPeriod": _COUNT,
                "advanced": _object(
                    {},
                    {
                        "restoreToOriginalReplicaCount": {"type": "boolean"},
                        "horizontalPodAutoscalerConfig": _object(
                            {}, {"behavior": _object({}, {"scaleUp": _RULES, "scaleDown": _RULES})}
                        ),
                    },
                ),
            },
        ),
    ),
    "TriggerAuthentication": _kind(
        "TriggerAuthentication",
        _object(
            {"secretTargetRef": _list(_object({"parameter": _TEXT, "name": _TEXT, "key": _TEXT}))}
        ),
    ),
}

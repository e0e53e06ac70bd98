"""Settings, from the environment only; every variable may be given as NAME or as NAME_FILE (a path to its value).

Two modes, the same code: *embedded* (no variables: SQLite, threads, in-process broker, files below `var/`) and
*production* (`DATABASE_URL`, `REDIS_URL`, `HUB_SECRET_KEY`, `HUB_ENCRYPTION_KEYS`).
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

import structlog
from django.core.exceptions import ImproperlyConfigured
from environs import FileAwareEnv

from hub.core.sources import SourceLimits

# A file that was written by `echo` or `openssl` ends with a newline, which is no part of a key or an address.
env = FileAwareEnv(strip_whitespace=True)
BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.str("HUB_DATA_DIR", str(BASE_DIR / "var"))).absolute()
TESTING = "pytest" in sys.modules

HUB_DEMO = env.bool("HUB_DEMO", False)
DEBUG = env.bool("HUB_DEBUG", False)
EMBEDDED = not env.str("REDIS_URL", "")


def _local_secret(name: str, make: Any) -> str:
    """A secret of an embedded hub: made at first use, kept in a file only the owner may read."""
    if TESTING:
        return str(make("test"))
    path = DATA_DIR / name
    if not path.exists():
        DATA_DIR.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(str(make(secrets.token_hex(32))))
    return path.read_text().strip()


def _fernet_key(seed: str) -> str:
    import base64

    return base64.urlsafe_b64encode(hashlib.sha256(seed.encode()).digest()).decode()


SECRET_KEY = env.str("HUB_SECRET_KEY", "") or (
    _local_secret("secret-key", lambda seed: seed * 2 + "0" * 50) if EMBEDDED else ""
)
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "HUB_SECRET_KEY is empty: set it, or HUB_SECRET_KEY_FILE, to 50 random characters"
    )
# First key encrypts, all keys decrypt (`manage.py rotate_keys`).
HUB_ENCRYPTION_KEYS: list[str] = env.list("HUB_ENCRYPTION_KEYS", []) or (
    [_local_secret("encryption-key", _fernet_key)] if EMBEDDED else []
)
ALLOWED_HOSTS: list[str] = env.list(
    "HUB_ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]", "testserver"] if EMBEDDED else []
)
HUB_URL = env.str("HUB_URL", "http://127.0.0.1:8000")
CSRF_TRUSTED_ORIGINS: list[str] = env.list(
    "HUB_TRUSTED_ORIGINS", [HUB_URL] if HUB_URL.startswith("https") else []
)

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "hub",
    "clusters",
    "notifications",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "hub.api.requests.Logged",
]

ROOT_URLCONF = "hub.urls"
ASGI_APPLICATION = "hub.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Passes at once; polls, errands, consumers of messages and housekeeping have threads of their own beside them, and a
# lease that cannot be renewed for want of a connection is lost.
CELERY_WORKER_CONCURRENCY = env.int("HUB_WORKER_THREADS", 16)
HUB_DB_CONNECTIONS = env.int("HUB_DB_POOL", CELERY_WORKER_CONCURRENCY + 20)
DATABASES: dict[str, Any] = {
    "default": env.dj_db_url("DATABASE_URL", f"sqlite:///{DATA_DIR / 'hub.sqlite3'}")
}
_default = DATABASES["default"]
if _default["ENGINE"].endswith("sqlite3"):
    # Writers wait for each other instead of failing with "database is locked": immediate transactions, WAL, and a lock
    # between those of this process (decision 0015).
    _default["ENGINE"] = "hub.sqlite"
    _default["OPTIONS"] = {
        "timeout": 30,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA mmap_size=134217728;",
    }
    # A thread keeps its connection, and with it the pages and statements that SQLite has prepared: opening one
    # costs as much as half of a pass.
    _default["CONN_MAX_AGE"] = None
    if TESTING:
        # A file and not memory: tests with threads meet the same locking as an embedded hub. Its name is the run's, so
        # that two runs on one machine, of one checkout or of two, never share it.
        _run = env.str("PYTEST_XDIST_TESTRUNUID", "") or str(os.getpid())
        _default["TEST"] = {
            "NAME": str(
                Path(env.str("HUB_TEST_DIR", tempfile.gettempdir())) / f"gitops-hub-test-{_run}.sqlite3"
            )
        }
        _default["OPTIONS"]["init_command"] += " PRAGMA synchronous=OFF;"
    if not TESTING and _default["NAME"] != ":memory:":
        Path(_default["NAME"]).parent.mkdir(parents=True, exist_ok=True)
else:
    _default.setdefault("OPTIONS", {})
    _default["CONN_MAX_AGE"] = 0
    # After a restart of the database every pooled connection is broken: found out before it is handed out.
    _default["CONN_HEALTH_CHECKS"] = True
    # Half of what the server does for a pass is planning the same statements again, unless it may keep the plans.
    if env.bool("HUB_DB_PREPARE", True):
        _default["OPTIONS"] |= {"server_side_binding": True, "prepare_threshold": 2}
    _default["OPTIONS"]["pool"] = {"min_size": 1, "max_size": HUB_DB_CONNECTIONS, "timeout": 30}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "hub.User"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
if TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
CSRF_FAILURE_VIEW = "hub.api.errors.page_csrf"
LOGIN_URL = "/admin/login/"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("HUB_STATIC_ROOT", str(DATA_DIR / "static")))
WHITENOISE_USE_FINDERS = EMBEDDED

SECURE = not (EMBEDDED or HUB_DEMO)
SESSION_COOKIE_AGE = 24 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_NAME = "__Host-hub-session" if SECURE else "hub-session"
CSRF_COOKIE_NAME = "__Host-hub-csrf" if SECURE else "hub-csrf"
SECURE_SSL_REDIRECT = SECURE and env.bool("HUB_SSL_REDIRECT", True)
SECURE_HSTS_SECONDS = 31536000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
if SECURE and env.bool("HUB_BEHIND_PROXY", False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "knox.auth.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "hub.api.docs.OwnWords",
    "EXCEPTION_HANDLER": "hub.api.errors.handle",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
REST_KNOX = {
    "TOKEN_TTL": None,
    "TOKEN_PREFIX": "hubp_",
    "AUTH_HEADER_PREFIX": "Bearer",
    "AUTO_REFRESH": False,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "GitOps hub",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
}

# Celery: a message is a hint that carries ids; the rows are the queue (house.md 4.1).
CELERY_BROKER_URL = env.str("REDIS_URL", "") or "memory://localhost/"
if EMBEDDED:
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)
CELERY_TASK_IGNORE_RESULT = True
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_POOL = "threads"
CELERY_TASK_DEFAULT_QUEUE = "any"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# For ever: a worker that gave up would lose its watches for nothing.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 2, "socket_timeout": 10}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_TASK_PUBLISH_RETRY = False

# Limits and manners of the hub itself.
HUB_PRIVATE_NETWORKS: list[str] = env.list("HUB_PRIVATE_NETWORKS", [])
HUB_ALLOW_LOOPBACK = HUB_DEMO or TESTING
HUB_SOURCE_LIMITS = SourceLimits.read(os.environ)
HUB_POLL_SECONDS = env.int("HUB_POLL_SECONDS", 60)
HUB_IN_CLUSTER = env.bool("HUB_IN_CLUSTER", False)
HUB_MULTI_TENANT = env.bool("HUB_MULTI_TENANT", False)
HUB_SENSITIVE_ANNOTATIONS: list[str] = env.list("HUB_SENSITIVE_ANNOTATIONS", [])
# A file in YAML or JSON: an argocd-cm (health, ignored differences, exclusions, compare options), or own health rules
# below `health` (sync-semantics.md 6.1, 6.2, 8.3).
HUB_RESOURCE_RULES = env.str("HUB_RESOURCE_RULES", "")
HUB_MIRROR_DIR = Path(env.str("HUB_MIRROR_DIR", str(DATA_DIR / "mirrors")))
HUB_SHARDS = env.int("HUB_SHARDS", 16)
HUB_METRICS_TOKEN = env.str("HUB_METRICS_TOKEN", "")
HUB_NOTIFICATIONS_TIME_ZONE = env.str("HUB_NOTIFICATIONS_TIME_ZONE", "UTC")

# What a caller did wrong is answered, and audited where it matters; in the log it would only hide what we did wrong.
DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL = logging.INFO
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer()
                if SECURE
                else structlog.dev.ConsoleRenderer(colors=False),
            ],
            "foreign_pre_chain": [
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
            ],
        }
    },
    # Addresses that are a secret themselves, and queries, where people put tokens by mistake (A15, C1).
    "filters": {
        "redact": {
            "()": "guard.redact.LogFilter",
            "cut": [
                r"(/webhooks/[^/\s?]+/)[^\s?\"']+",
                r"(/link/)[^\s?\"']+",
                r"(\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /[^\s?]*\?)[^\s\"']+",
            ],
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["redact"]}},
    "root": {"handlers": ["console"], "level": env.str("HUB_LOG_LEVEL", "WARNING")},
    "loggers": {"django.request": {"level": "ERROR"}},
}
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False  # `Logged` knows whose word to take for it
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
UNFOLD = {
    "SITE_TITLE": "GitOps hub",
    "SITE_HEADER": "GitOps hub",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
}

from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ProcessingStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IDLE: _ClassVar[ProcessingStatus]
    STARTING: _ClassVar[ProcessingStatus]
    PROCESSING: _ClassVar[ProcessingStatus]
    FINALIZING: _ClassVar[ProcessingStatus]
    COMPLETED: _ClassVar[ProcessingStatus]
    ERROR: _ClassVar[ProcessingStatus]
IDLE: ProcessingStatus
STARTING: ProcessingStatus
PROCESSING: ProcessingStatus
FINALIZING: ProcessingStatus
COMPLETED: ProcessingStatus
ERROR: ProcessingStatus

class Empty(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ClientInfo(_message.Message):
    __slots__ = ("client_id", "hostname", "ip_address", "specs", "port", "key", "installed", "can_install")
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    IP_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SPECS_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    INSTALLED_FIELD_NUMBER: _ClassVar[int]
    CAN_INSTALL_FIELD_NUMBER: _ClassVar[int]
    client_id: str
    hostname: str
    ip_address: str
    specs: SystemSpecs
    port: int
    key: str
    installed: _containers.RepeatedCompositeFieldContainer[ModelInfo]
    can_install: bool
    def __init__(self, client_id: _Optional[str] = ..., hostname: _Optional[str] = ..., ip_address: _Optional[str] = ..., specs: _Optional[_Union[SystemSpecs, _Mapping]] = ..., port: _Optional[int] = ..., key: _Optional[str] = ..., installed: _Optional[_Iterable[_Union[ModelInfo, _Mapping]]] = ..., can_install: _Optional[bool] = ...) -> None: ...

class SystemSpecs(_message.Message):
    __slots__ = ("cpu_cores", "cpu_frequency_ghz", "ram_gb", "gpu_info", "gpu_memory_gb", "os_info", "performance_score")
    CPU_CORES_FIELD_NUMBER: _ClassVar[int]
    CPU_FREQUENCY_GHZ_FIELD_NUMBER: _ClassVar[int]
    RAM_GB_FIELD_NUMBER: _ClassVar[int]
    GPU_INFO_FIELD_NUMBER: _ClassVar[int]
    GPU_MEMORY_GB_FIELD_NUMBER: _ClassVar[int]
    OS_INFO_FIELD_NUMBER: _ClassVar[int]
    PERFORMANCE_SCORE_FIELD_NUMBER: _ClassVar[int]
    cpu_cores: int
    cpu_frequency_ghz: float
    ram_gb: int
    gpu_info: str
    gpu_memory_gb: float
    os_info: str
    performance_score: float
    def __init__(self, cpu_cores: _Optional[int] = ..., cpu_frequency_ghz: _Optional[float] = ..., ram_gb: _Optional[int] = ..., gpu_info: _Optional[str] = ..., gpu_memory_gb: _Optional[float] = ..., os_info: _Optional[str] = ..., performance_score: _Optional[float] = ...) -> None: ...

class RegistrationResponse(_message.Message):
    __slots__ = ("success", "message", "assigned_model", "model_info", "total_clients", "client_group")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_INFO_FIELD_NUMBER: _ClassVar[int]
    TOTAL_CLIENTS_FIELD_NUMBER: _ClassVar[int]
    CLIENT_GROUP_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    assigned_model: str
    model_info: ModelInfo
    total_clients: int
    client_group: int
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., assigned_model: _Optional[str] = ..., model_info: _Optional[_Union[ModelInfo, _Mapping]] = ..., total_clients: _Optional[int] = ..., client_group: _Optional[int] = ...) -> None: ...

class ModelInfo(_message.Message):
    __slots__ = ("name", "parameters", "size_gb", "complexity_score", "supports_vision")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    SIZE_GB_FIELD_NUMBER: _ClassVar[int]
    COMPLEXITY_SCORE_FIELD_NUMBER: _ClassVar[int]
    SUPPORTS_VISION_FIELD_NUMBER: _ClassVar[int]
    name: str
    parameters: int
    size_gb: float
    complexity_score: int
    supports_vision: bool
    def __init__(self, name: _Optional[str] = ..., parameters: _Optional[int] = ..., size_gb: _Optional[float] = ..., complexity_score: _Optional[int] = ..., supports_vision: _Optional[bool] = ...) -> None: ...

class AvailableModelsResponse(_message.Message):
    __slots__ = ("models", "total_models")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ModelInfo]
    total_models: int
    def __init__(self, models: _Optional[_Iterable[_Union[ModelInfo, _Mapping]]] = ..., total_models: _Optional[int] = ...) -> None: ...

class ReassignmentResponse(_message.Message):
    __slots__ = ("success", "message", "new_assignments")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NEW_ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    new_assignments: _containers.RepeatedCompositeFieldContainer[ClientAssignment]
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., new_assignments: _Optional[_Iterable[_Union[ClientAssignment, _Mapping]]] = ...) -> None: ...

class ClientAssignment(_message.Message):
    __slots__ = ("client_id", "assigned_model", "group_number")
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_MODEL_FIELD_NUMBER: _ClassVar[int]
    GROUP_NUMBER_FIELD_NUMBER: _ClassVar[int]
    client_id: str
    assigned_model: str
    group_number: int
    def __init__(self, client_id: _Optional[str] = ..., assigned_model: _Optional[str] = ..., group_number: _Optional[int] = ...) -> None: ...

class AIRequest(_message.Message):
    __slots__ = ("request_id", "prompt", "assigned_model", "timestamp", "images")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_MODEL_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    prompt: str
    assigned_model: str
    timestamp: int
    images: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, request_id: _Optional[str] = ..., prompt: _Optional[str] = ..., assigned_model: _Optional[str] = ..., timestamp: _Optional[int] = ..., images: _Optional[_Iterable[str]] = ...) -> None: ...

class AIResponse(_message.Message):
    __slots__ = ("request_id", "success", "response_text", "processing_time", "client_id", "model_used", "timestamp")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_TEXT_FIELD_NUMBER: _ClassVar[int]
    PROCESSING_TIME_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_USED_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    success: bool
    response_text: str
    processing_time: float
    client_id: str
    model_used: str
    timestamp: int
    def __init__(self, request_id: _Optional[str] = ..., success: _Optional[bool] = ..., response_text: _Optional[str] = ..., processing_time: _Optional[float] = ..., client_id: _Optional[str] = ..., model_used: _Optional[str] = ..., timestamp: _Optional[int] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("request_id", "client_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    client_id: str
    def __init__(self, request_id: _Optional[str] = ..., client_id: _Optional[str] = ...) -> None: ...

class StatusResponse(_message.Message):
    __slots__ = ("request_id", "client_id", "status", "progress_percentage", "current_step", "estimated_remaining_seconds")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_PERCENTAGE_FIELD_NUMBER: _ClassVar[int]
    CURRENT_STEP_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_REMAINING_SECONDS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    client_id: str
    status: ProcessingStatus
    progress_percentage: float
    current_step: str
    estimated_remaining_seconds: int
    def __init__(self, request_id: _Optional[str] = ..., client_id: _Optional[str] = ..., status: _Optional[_Union[ProcessingStatus, str]] = ..., progress_percentage: _Optional[float] = ..., current_step: _Optional[str] = ..., estimated_remaining_seconds: _Optional[int] = ...) -> None: ...

class HealthResponse(_message.Message):
    __slots__ = ("healthy", "message", "connected_clients", "active_models")
    HEALTHY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_CLIENTS_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_MODELS_FIELD_NUMBER: _ClassVar[int]
    healthy: bool
    message: str
    connected_clients: int
    active_models: int
    def __init__(self, healthy: _Optional[bool] = ..., message: _Optional[str] = ..., connected_clients: _Optional[int] = ..., active_models: _Optional[int] = ...) -> None: ...

class Attendance(_message.Message):
    __slots__ = ("join", "report", "goodbye")
    JOIN_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    join: ClientInfo
    report: Report
    goodbye: Empty
    def __init__(self, join: _Optional[_Union[ClientInfo, _Mapping]] = ..., report: _Optional[_Union[Report, _Mapping]] = ..., goodbye: _Optional[_Union[Empty, _Mapping]] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("state", "detail", "in_progress", "installed")
    STATE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    IN_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    INSTALLED_FIELD_NUMBER: _ClassVar[int]
    state: str
    detail: str
    in_progress: int
    installed: _containers.RepeatedCompositeFieldContainer[ModelInfo]
    def __init__(self, state: _Optional[str] = ..., detail: _Optional[str] = ..., in_progress: _Optional[int] = ..., installed: _Optional[_Iterable[_Union[ModelInfo, _Mapping]]] = ...) -> None: ...

class Instruction(_message.Message):
    __slots__ = ("client_id", "assigned_model", "group_number", "reason", "drain")
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_MODEL_FIELD_NUMBER: _ClassVar[int]
    GROUP_NUMBER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    client_id: str
    assigned_model: str
    group_number: int
    reason: str
    drain: bool
    def __init__(self, client_id: _Optional[str] = ..., assigned_model: _Optional[str] = ..., group_number: _Optional[int] = ..., reason: _Optional[str] = ..., drain: _Optional[bool] = ...) -> None: ...

class WorkUpdate(_message.Message):
    __slots__ = ("status", "answer")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    status: StatusResponse
    answer: AIResponse
    def __init__(self, status: _Optional[_Union[StatusResponse, _Mapping]] = ..., answer: _Optional[_Union[AIResponse, _Mapping]] = ...) -> None: ...

class AskRequest(_message.Message):
    __slots__ = ("request_id", "prompt", "images", "plan", "count", "aggregation", "deadline")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    AGGREGATION_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    prompt: str
    images: _containers.RepeatedScalarFieldContainer[str]
    plan: str
    count: int
    aggregation: str
    deadline: float
    def __init__(self, request_id: _Optional[str] = ..., prompt: _Optional[str] = ..., images: _Optional[_Iterable[str]] = ..., plan: _Optional[str] = ..., count: _Optional[int] = ..., aggregation: _Optional[str] = ..., deadline: _Optional[float] = ...) -> None: ...

class AskEvent(_message.Message):
    __slots__ = ("progress", "answered", "result")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    progress: StatusResponse
    answered: NodeAnswer
    result: AskResult
    def __init__(self, progress: _Optional[_Union[StatusResponse, _Mapping]] = ..., answered: _Optional[_Union[NodeAnswer, _Mapping]] = ..., result: _Optional[_Union[AskResult, _Mapping]] = ...) -> None: ...

class NodeAnswer(_message.Message):
    __slots__ = ("client_id", "model", "outcome", "text", "reason", "seconds")
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    client_id: str
    model: str
    outcome: str
    text: str
    reason: str
    seconds: float
    def __init__(self, client_id: _Optional[str] = ..., model: _Optional[str] = ..., outcome: _Optional[str] = ..., text: _Optional[str] = ..., reason: _Optional[str] = ..., seconds: _Optional[float] = ...) -> None: ...

class AskResult(_message.Message):
    __slots__ = ("text", "layout", "method", "seconds", "nodes", "success", "problem")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    text: str
    layout: str
    method: str
    seconds: float
    nodes: _containers.RepeatedCompositeFieldContainer[NodeAnswer]
    success: bool
    problem: str
    def __init__(self, text: _Optional[str] = ..., layout: _Optional[str] = ..., method: _Optional[str] = ..., seconds: _Optional[float] = ..., nodes: _Optional[_Iterable[_Union[NodeAnswer, _Mapping]]] = ..., success: _Optional[bool] = ..., problem: _Optional[str] = ...) -> None: ...

class FleetResponse(_message.Message):
    __slots__ = ("nodes", "models")
    NODES_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeStatus]
    models: _containers.RepeatedCompositeFieldContainer[ModelInfo]
    def __init__(self, nodes: _Optional[_Iterable[_Union[NodeStatus, _Mapping]]] = ..., models: _Optional[_Iterable[_Union[ModelInfo, _Mapping]]] = ...) -> None: ...

class NodeStatus(_message.Message):
    __slots__ = ("client_id", "hostname", "address", "specs", "score", "model", "state", "detail", "registered_at", "last_seen", "lease", "rejections", "in_progress")
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SPECS_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    REJECTIONS_FIELD_NUMBER: _ClassVar[int]
    IN_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    client_id: str
    hostname: str
    address: str
    specs: SystemSpecs
    score: float
    model: str
    state: str
    detail: str
    registered_at: int
    last_seen: float
    lease: str
    rejections: _containers.RepeatedCompositeFieldContainer[Rejection]
    in_progress: int
    def __init__(self, client_id: _Optional[str] = ..., hostname: _Optional[str] = ..., address: _Optional[str] = ..., specs: _Optional[_Union[SystemSpecs, _Mapping]] = ..., score: _Optional[float] = ..., model: _Optional[str] = ..., state: _Optional[str] = ..., detail: _Optional[str] = ..., registered_at: _Optional[int] = ..., last_seen: _Optional[float] = ..., lease: _Optional[str] = ..., rejections: _Optional[_Iterable[_Union[Rejection, _Mapping]]] = ..., in_progress: _Optional[int] = ...) -> None: ...

class Rejection(_message.Message):
    __slots__ = ("model", "reason")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    model: str
    reason: str
    def __init__(self, model: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

from mediactl.api.asset import Asset as Asset
from mediactl.api.calls import make as make
from mediactl.api.calls import make_async as make_async
from mediactl.api.calls import process as process
from mediactl.api.calls import process_async as process_async
from mediactl.api.library import Library as Library
from mediactl.api.library import Pending as Pending
from mediactl.api.library import open as open
from mediactl.core.errors import Interrupted as Interrupted
from mediactl.core.errors import JobFailed as JobFailed
from mediactl.core.errors import MachineBlocked as MachineBlocked
from mediactl.core.errors import MachineTrouble as MachineTrouble
from mediactl.core.errors import MediactlError as MediactlError
from mediactl.core.errors import RejectedInput as RejectedInput
from mediactl.core.errors import UsageError as UsageError
from mediactl.model.assets import Artefact as Artefact
from mediactl.model.events import Event as Event
from mediactl.model.events import Summary as Summary

__version__: str

__all__: list[str]

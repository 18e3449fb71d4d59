"""A worker for longrun.v1.Dispatcher, over plain gRPC.

    def resize(run, request):          # request and response are dicts
        for i, image in enumerate(request["images"]):
            run.check()                # raises Stopped when the run must stop
            ...
            run.progress(i + 1, len(request["images"]))
        return {"images": len(request["images"])}

    Worker("127.0.0.1:9151", {"resize-image": resize}).run()

It needs grpcio and protobuf, and no generated code: the messages come from
longrun.binpb beside this file. The rules that it keeps are those of "go doc
github.com/longrun-dev/longrun/dispatch"; comments name them where they decide
something.

A Worker runs each operation in a thread of its own. Its session is kept by one
loop of beats, however many operations it holds.
"""

import logging
import os
import socket
import threading
import time
import traceback

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, struct_pb2

log = logging.getLogger("longrun")

ACQUIRE_WAIT = 20.0  # seconds that a call waits for the first operation
SLACK = 5.0  # seconds that an answer may take beyond what the call waits
PAUSE = 1.0  # seconds after a call that has failed
GRACE = 10.0  # seconds that runs have to return when the worker stops
MAX_ACQUIRE = 100  # operations in one call
MAX_HELD = 1000  # operations of one session
UNAVAILABLE = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)


def _load(path):
    pool = descriptor_pool.DescriptorPool()  # its own: stubs of the same protos may be loaded beside it
    with open(path, "rb") as f:
        for file in descriptor_pb2.FileDescriptorSet.FromString(f.read()).file:
            pool.AddSerializedFile(file.SerializeToString())
    return pool


_pool = _load(os.path.join(os.path.dirname(os.path.abspath(__file__)), "longrun.binpb"))
if hasattr(message_factory, "GetMessageClass"):  # protobuf 4.22 and later
    _class = message_factory.GetMessageClass
else:
    _class = message_factory.MessageFactory(_pool).GetPrototype


def message(name):
    """The class of the message with this full name."""
    return _class(_pool.FindMessageTypeByName(name))


class Dispatcher:
    """The calls of longrun.v1.Dispatcher on a channel, each by its name."""

    def __init__(self, channel):
        service = _pool.FindServiceByName("longrun.v1.Dispatcher")
        for method in service.methods:
            setattr(self, method.name, channel.unary_unary(
                f"/{service.full_name}/{method.name}",
                request_serializer=_class(method.input_type).SerializeToString,
                response_deserializer=_class(method.output_type).FromString,
            ))


Acquire = message("longrun.v1.AcquireOperationsRequest")
Beat = message("longrun.v1.BeatSessionRequest")
Close = message("longrun.v1.CloseSessionRequest")
Finish = message("longrun.v1.FinishOperationRequest")
Open = message("longrun.v1.OpenSessionRequest")
Release = message("longrun.v1.ReleaseOperationRequest")
Report = message("longrun.v1.ReportProgressRequest")
Stop = message("longrun.v1.StoppedOperation")
ErrorInfo = message("google.rpc.ErrorInfo")
Status = message("google.rpc.Status")


class Stopped(Exception):
    """The run must stop. A handler lets it pass: the worker knows what to say."""


class Failure(Exception):
    """The operation fails, with a code of google.rpc.Code and a text for its caller."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code, self.text = code, text


class Retry(Exception):
    """The operation is run again after so many seconds. That is no failure."""

    def __init__(self, seconds, text="not yet"):
        super().__init__(text)
        self.seconds, self.text = seconds, text


INVALID_ARGUMENT, DEADLINE_EXCEEDED, ABORTED, INTERNAL, CANCELLED, CODE_UNAVAILABLE = 3, 4, 10, 13, 1, 14

# What a run that was stopped ends with. A lost claim is nobody's to end, and a run
# that the worker gives up is released.
STOP_CODES = {"cancelled": CANCELLED, "deadline passed": DEADLINE_EXCEEDED, "preempted": ABORTED}
STOP_CAUSES = {
    Stop.CANCELLED: "cancelled",
    Stop.PREEMPTED: "preempted",
    Stop.DEADLINE_PASSED: "deadline passed",
    Stop.CLAIM_LOST: "claim lost",
}


def now():
    """Seconds on a clock that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def reason(error):
    """The reason in the ErrorInfo of an error, "" where there is none."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in Status.FromString(value).details:
                info = ErrorInfo()
                if detail.Unpack(info):
                    return info.reason
    return ""


class Run:
    """One run of an operation. Its methods may be called from any thread."""

    def __init__(self, session, op):
        self.session = session
        self.name, self.attempt, self.method = op.operation, op.attempt, op.method
        self._request = op.request
        self._stopped = threading.Event()
        self._why = None

    def request(self):
        """The request as a dict: it is a google.protobuf.Struct, or empty."""
        struct = struct_pb2.Struct()
        if self._request.type_url and not self._request.Unpack(struct):
            raise Failure(INVALID_ARGUMENT, "the request must be a google.protobuf.Struct")
        return json_format.MessageToDict(struct)

    def stop(self, why):
        """Makes check and sleep raise. The first reason stays, but a lost claim is above all."""
        if self._why is None or why == "claim lost":
            self._why = why
        self._stopped.set()

    def check(self):
        """Raises Stopped when the run must stop."""
        if not self.session.trusted():
            self.stop("claim lost")
        if self._stopped.is_set():
            raise Stopped(self._why)

    def sleep(self, seconds):
        """Sleeps, and raises Stopped as soon as the run must stop."""
        self._stopped.wait(seconds)
        self.check()

    def progress(self, done, total=0, phase=""):
        """Says how far the run is. What does not arrive is made good by the next report."""
        self.check()
        report = Report(name=self.name, session=self.session.token, attempt=self.attempt)
        report.progress.SetInParent()
        report.progress.completed_units, report.progress.total_units, report.progress.phase = done, total, phase
        try:
            self.session.calls.ReportProgress(report, timeout=SLACK)
        except grpc.RpcError as e:
            if e.code() not in UNAVAILABLE:
                self.session.refused(self, e)
                self.check()


class Session:
    """One session: what it holds, its beats, and its calls of AcquireOperations."""

    def __init__(self, worker, calls):
        self.worker, self.calls = worker, calls
        asked = now()
        opening = Open(worker=worker.name)
        opening.ttl.FromMilliseconds(int(worker.ttl * 1000))
        reply = calls.OpenSession(opening, timeout=SLACK)
        self.token = reply.session
        self.ttl = reply.ttl.ToMilliseconds() / 1000
        self.lock = threading.Condition()  # guards what follows
        self.held = {}  # runs by name, each until its end was answered
        self.call = 0  # the latest number
        self.closed = 0  # calls up to this one were answered, or will be ignored
        self.over = False
        self.acquiring = self.beating = None  # calls under way
        self.trusted_until = asked + self.ttl  # from before it was asked

    def trusted(self):
        """Whether nobody else may run what the session holds."""
        return not self.over and now() < self.trusted_until

    def lost(self, why):
        """Ends the session: nothing that its runs still say is kept."""
        with self.lock:
            if self.over:
                return
            self.over = True
            runs, acquiring = list(self.held.values()), self.acquiring
            self.lock.notify_all()
        log.warning("session lost: %s; runs stopped: %d", why, len(runs))
        for run in runs:
            run.stop("claim lost")
        if acquiring:
            acquiring.cancel()

    def refused(self, run, error):
        """Takes a refusal of what a run has said."""
        why = reason(error)
        log.warning("%s attempt %d: refused: %s %s", run.name, run.attempt, error.code().name, why)
        if why == "SESSION_LOST":
            self.lost("the server says so")
        if error.code() == grpc.StatusCode.ABORTED:
            run.stop("claim lost")

    def beat(self, wait):
        """One beat: renews the session and stops what must stop. Returns how many that are."""
        with self.lock:
            request = Beat(session=self.token, closed_call=self.closed)
            for run in self.held.values():
                request.held.add(operation=run.name, attempt=run.attempt)
        request.wait_timeout.FromMilliseconds(int(wait * 1000))
        sent = now()
        # An answer that comes when the claims cannot be trusted any more is too late.
        call = self.calls.BeatSession.future(request, timeout=max(min(wait + SLACK, self.trusted_until - sent), 0.1))
        if wait:
            self.beating = call
        reply = call.result()
        self.trusted_until = max(self.trusted_until, sent + self.ttl)
        for stop in reply.stop:
            run = self.held.get(stop.operation)
            if run and run.attempt == stop.attempt:
                run.stop(STOP_CAUSES.get(stop.cause, "cancelled"))
        return len(reply.stop)

    def beats(self, until):
        """Beats until the session is over or until is set."""
        while not self.over and not until.is_set():
            began, wait = now(), self.ttl / 3
            try:
                stopped = self.beat(wait)
                if not stopped and now() - began < wait / 2:
                    until.wait(PAUSE)  # a server that stops answers at once, over and over
            except grpc.FutureCancelledError:
                return
            except grpc.RpcError as e:
                if reason(e) == "SESSION_LOST":
                    return self.lost("the server says so")
                if not self.trusted():
                    return self.lost("it was silent for its TTL")
                until.wait(PAUSE)

    def acquire(self, n):
        """Claims up to n operations. A call whose answer was lost is made again, under its number."""
        self.call += 1
        request = Acquire(session=self.token, methods=sorted(self.worker.handlers), max_operations=n, call=self.call)
        request.wait_timeout.FromMilliseconds(int(ACQUIRE_WAIT * 1000))
        while self.trusted() and not self.worker.stopping.is_set():
            call = self.calls.AcquireOperations.future(request, timeout=ACQUIRE_WAIT + SLACK)
            with self.lock:
                self.acquiring = call
            if self.over or self.worker.stopping.is_set():
                call.cancel()  # whoever has set it may not have seen the call
            try:
                reply = call.result()
            except (grpc.RpcError, grpc.FutureCancelledError) as e:
                if isinstance(e, grpc.RpcError) and reason(e) == "SESSION_LOST":
                    self.lost("the server says so")
                elif not self.worker.stopping.is_set():
                    log.warning("nothing acquired: %s", e)
                    self.worker.stopping.wait(PAUSE)
                continue
            finally:
                self.acquiring = None
            with self.lock:
                # Both at once: what a closed call has claimed and a beat does not
                # name is given to somebody else.
                runs = [Run(self, op) for op in reply.operations]
                self.held.update((run.name, run) for run in runs)
                self.closed = self.call
            return runs
        return []

    def say(self, run, call, request):
        """Says how a run has ended, again and again until that is answered."""
        while self.trusted():
            try:
                call(request, timeout=SLACK)
                return
            except grpc.RpcError as e:
                if e.code() in UNAVAILABLE:
                    time.sleep(PAUSE)
                    continue
                self.refused(run, e)
                if e.code() != grpc.StatusCode.INVALID_ARGUMENT or request.DESCRIPTOR.name != "FinishOperationRequest" or request.HasField("error"):
                    return
                # The response cannot be kept, as one that is too large.
                request = self._error(run, INTERNAL, e.details())
        log.warning("%s attempt %d: its end was not said: the session is over", run.name, run.attempt)

    def _error(self, run, code, text, retry=None):
        request = Finish(name=run.name, session=self.token, attempt=run.attempt)
        request.error.code, request.error.message = code, text
        if retry is not None:
            request.retry_delay.FromMilliseconds(int(retry * 1000))
        return request

    def perform(self, run):
        """Runs an operation and says how that has ended."""
        end, finish = None, self.calls.FinishOperation
        try:
            response = struct_pb2.Struct()
            response.update(self.worker.handlers[run.method](run, run.request()) or {})
            end = Finish(name=run.name, session=self.token, attempt=run.attempt)
            end.response.Pack(response)
        except Stopped as e:
            why = str(e)
            if why in STOP_CODES:
                end = self._error(run, STOP_CODES[why], why)
            elif why != "claim lost":
                end, finish = Release(name=run.name, session=self.token, attempt=run.attempt), self.calls.ReleaseOperation
        except Failure as e:
            end = self._error(run, e.code, e.text)
        except Retry as e:
            end = self._error(run, CODE_UNAVAILABLE, e.text, e.seconds)
        except Exception:
            # The cause is for this log, not for whoever has started the operation.
            log.error("%s attempt %d:\n%s", run.name, run.attempt, traceback.format_exc())
            end = self._error(run, INTERNAL, "internal error of the worker")
        if end is not None:
            self.say(run, finish, end)
        with self.lock:
            self.held.pop(run.name, None)
            self.lock.notify_all()

    def work(self):
        """Works until the session is over or the worker stops."""
        done = threading.Event()
        beats = threading.Thread(target=self.beats, args=(done,), daemon=True)
        beats.start()
        while not self.over and not self.worker.stopping.is_set():
            free = min(self.worker.concurrency, MAX_HELD) - self.worker.running()
            if free <= 0:
                with self.lock:
                    self.lock.wait(0.2)
                continue
            for run in self.acquire(min(free, MAX_ACQUIRE)):
                self.worker.start(run)
        self.drain()
        done.set()
        if self.beating:
            self.beating.cancel()
        beats.join()

    def drain(self):
        """Gives back what the worker runs, and ends the session when it holds nothing."""
        with self.lock:
            for run in self.held.values():
                run.stop("the worker stops")
            self.lock.wait_for(lambda: self.over or not self.held, GRACE)
            self.closed = self.call  # a call whose answer nobody has waited for
        if self.over or self.held:
            return  # what is still running keeps its claim until the TTL is over
        try:
            self.beat(0)  # releases what that call may have claimed
            self.calls.CloseSession(Close(session=self.token), timeout=SLACK)
        except grpc.RpcError as e:
            log.warning("session not closed: %s", e.code().name)


class Worker:
    """Runs operations of some methods, until stop is called.

    handlers: functions by method, called with a Run and the request as a dict;
    what they return, a dict, is the response. concurrency: how many operations at a
    time, 1,000 at most. ttl: seconds after which a worker that has fallen silent
    loses what it runs, from 5 to 600.
    """

    def __init__(self, server, handlers, concurrency=8, ttl=30.0, name=None):
        self.server, self.handlers = server, handlers
        self.concurrency, self.ttl = concurrency, ttl
        self.name = name or f"{socket.gethostname()[:100]}/{os.getpid()}"
        self.stopping = threading.Event()
        self.session = None
        self._lock = threading.Lock()  # guards _running
        self._running = 0

    def running(self):
        """How many handlers run, those of lost sessions too."""
        with self._lock:
            return self._running

    def start(self, run):
        """Runs an operation in a thread of its own."""
        with self._lock:
            self._running += 1
        threading.Thread(target=self._perform, args=(run,), daemon=True).start()

    def _perform(self, run):
        try:
            run.session.perform(run)
        finally:
            with self._lock:
                self._running -= 1

    def stop(self):
        """Makes run give back what it runs and return. It is called from another thread."""
        self.stopping.set()
        session = self.session
        call = session and session.acquiring
        if call:
            call.cancel()

    def run(self):
        """Opens one session after another and works, until stop."""
        with grpc.insecure_channel(self.server, options=[("grpc.max_receive_message_length", 16 << 20)]) as channel:
            calls = Dispatcher(channel)
            while not self.stopping.is_set():
                try:
                    self.session = Session(self, calls)
                except grpc.RpcError as e:
                    log.warning("no session: %s: %s", e.code().name, e.details())
                    self.stopping.wait(PAUSE)
                    continue
                log.info("session opened at %s", self.server)
                self.session.work()

"""Starts LocalStack on the loopback address alone: of GATEWAY_LISTEN it keeps the port, and for IPv4 listens on every address."""

import functools
import runpy

from twisted.internet import endpoints

endpoints.TCP4ServerEndpoint = functools.partial(endpoints.TCP4ServerEndpoint, interface="127.0.0.1")
runpy.run_module("localstack.runtime.main", run_name="__main__")

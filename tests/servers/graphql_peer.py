"""A server of GraphQL (Ariadne) and clients of it.

`graphql_peer.py serve PORT`, `graphql_peer.py CLIENT SCENARIO PORT` with the client `requests`, `gql`
or `aiohttp` (gql over aiohttp). Clients print a line for each request: operation, status, `errors` or
`-`, nanoseconds that it took; separated by tabs.
"""

import asyncio
import json
import sys
import time

import requests
import uvicorn
from ariadne import MutationType, QueryType, make_executable_schema
from ariadne.asgi import GraphQL
from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportQueryError
from gql.transport.requests import RequestsHTTPTransport
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

SCHEMA = """
type Query { hello: String! user(id: ID!): User slow: String! fails: String }
type Mutation { addUser(name: String!): Added! }
type User { id: ID! name: String! }
type Added { errors: [String!]! user: User }
"""
query, mutation = QueryType(), MutationType()


@query.field("hello")
def hello(*_):
    return "hello"


@query.field("user")
def user(*_, id):
    return {"id": id, "name": "x" * int(id)}


@query.field("slow")
async def slow(*_):
    await asyncio.sleep(0.5)
    return "slow"


@query.field("fails")
def fails(*_):
    raise ValueError("no")


@mutation.field("addUser")
def add_user(*_, name):
    return {"errors": ["too short"] if len(name) < 2 else [], "user": {"id": 1, "name": name}}


async def other(request):
    return JSONResponse({"errors": [await request.json()]})


def serve(port):
    schema = make_executable_schema(SCHEMA, query, mutation)
    graphql = GraphQL(schema, execute_get_queries=True)
    methods = ["GET", "POST"]
    app = Starlette(
        routes=[
            Route("/graphql", graphql, methods=methods),
            Route("/api/v1/graphql", graphql, methods=methods),
            Route("/other", other, methods=methods),
        ]
    )
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="critical")


GET_USER = "query GetUser($id: ID!) { user(id: $id) { id name } }"
TWO = "query One { hello } mutation Two { addUser(name: \"ab\") { errors } }"
HASH = {"persistedQuery": {"version": 1, "sha256Hash": "ec" * 32}}

# Operation, path, body.
POSTS = [
    ("query GetUser", "/graphql", {"query": GET_USER, "variables": {"id": 7}}),
    ("query GetUser", "/api/v1/graphql", {"query": GET_USER, "variables": {"id": 9}}),
    ("query GetUser", "/graphql", {"query": GET_USER, "variables": {"id": 90_000}}),
    ("query GetUser", "/graphql", {"operationName": "GetUser", "query": GET_USER}),
    ("query", "/graphql", {"query": "{ hello }"}),
    ("mutation", "/graphql", {"query": 'mutation { addUser(name: "a") { errors user { id } } }'}),
    ("query One", "/graphql", {"operationName": "One", "query": TWO}),
    ("mutation Two", "/graphql", {"operationName": "Two", "query": TWO}),
    ("query Fails", "/graphql", {"query": "query Fails { hello fails }"}),
    ("query Wrong", "/graphql", {"query": "query Wrong { nothing }"}),
    ("query Slow", "/graphql", {"query": "query Slow { slow }"}),
    ("batch", "/graphql", [{"query": "{ hello }"}, {"query": "{ hello }"}]),
    ("persisted", "/graphql", {"extensions": HASH}),
    ("persisted GetUser", "/graphql", {"operationName": "GetUser", "extensions": HASH}),
    ("_OTHER", "/graphql", {"variables": {"x": "y" * 500}, "query": "query Far { hello }"}),
    ("", "/other", {"query": "query Not { hello }"}),
]
GETS = [
    ("query GetUser", {"query": GET_USER, "variables": '{"id":8}', "operationName": "GetUser"}),
    ("query", {"query": "{\n  hello\n}"}),
    ("query Fails", {"query": "query Fails { fails }"}),
]


def tell(method, path, operation, status, failed, started):
    took = time.monotonic_ns() - started
    name = f"{method} {path} {operation}".strip()
    print(name, status, "errors" if failed else "-", took, sep="\t", flush=True)


def failed(response, path):
    """Errors that a good status hides."""
    return response.status_code == 200 and path != "/other" and bool(response.json().get("errors"))


def over_requests(url, few):
    with requests.Session() as session:
        for operation, path, body in POSTS[4:12:4] if few else POSTS:
            started = time.monotonic_ns()
            response = session.post(url + path, json=body)
            tell("POST", path, operation, response.status_code, failed(response, path), started)
        for operation, parameters in GETS:
            started = time.monotonic_ns()
            response = session.get(url + "/graphql", params=parameters)
            failing = failed(response, "/graphql")
            tell("GET", "/graphql", operation, response.status_code, failing, started)
        body = json.dumps(POSTS[0][2]).encode()
        started = time.monotonic_ns()
        headers = {"Content-Type": "application/json"}
        response = session.post(url + "/graphql", data=iter([body[:30], body[30:]]), headers=headers)
        failing = failed(response, "/graphql")
        tell("POST", "/graphql", "query GetUser", response.status_code, failing, started)


# Operation, text, variables.
TEXTS = [
    ("query GetUser", GET_USER, {"id": 5}),
    ("query", "{ hello }", None),
    ("mutation AddUser", 'mutation AddUser { addUser(name: "a") { errors } }', None),
    ("query Fails", "query Fails { fails }", None),
    ("query WithF", "fragment F on User { id } query WithF { user(id: 1) { ...F } }", None),
]


def over_gql(transport):
    with Client(transport=transport) as session:
        for operation, text, variables in TEXTS:
            request = gql(text)
            request.variable_values = variables
            started = time.monotonic_ns()
            try:
                session.execute(request)
                failing = False
            except TransportQueryError:
                failing = True
            tell("POST", "/graphql", operation, 200, failing, started)


async def over_aiohttp(transport):
    async with Client(transport=transport) as session:
        for operation, text, variables in TEXTS:
            request = gql(text)
            request.variable_values = variables
            started = time.monotonic_ns()
            try:
                await session.execute(request)
                failing = False
            except TransportQueryError:
                failing = True
            tell("POST", "/graphql", operation, 200, failing, started)


def main():
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
        return
    client, scenario, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    url = f"http://127.0.0.1:{port}"
    if client == "requests":
        over_requests(url, scenario == "few")
    elif client == "gql":
        over_gql(RequestsHTTPTransport(url=url + "/graphql"))
    else:
        asyncio.run(over_aiohttp(AIOHTTPTransport(url=url + "/graphql")))


main()

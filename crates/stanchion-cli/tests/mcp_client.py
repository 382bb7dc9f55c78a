"""Calls every tool of `stanchion mcp` and reads what it offers; arguments: the binary, the root."""

import asyncio
import json
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

CALLED = set()


async def call(session, tool, **arguments):
    CALLED.add(tool)
    result = await session.call_tool(tool, arguments)
    said = result.structuredContent
    assert said == json.loads(result.content[0].text), result
    return bool(result.isError), said


async def refused(session, tool, **arguments):
    wrong, said = await call(session, tool, **arguments)
    assert wrong, (tool, arguments, said)
    return said["error"]


async def done(session, tool, **arguments):
    wrong, said = await call(session, tool, **arguments)
    assert not wrong, (tool, arguments, said)
    return said


async def tools(session):
    listed = (await session.list_tools()).tools
    for tool in listed:
        assert tool.inputSchema["type"] == "object" and tool.outputSchema["type"] == "object", tool
        assert tool.annotations.readOnlyHint != ("WRITES" in tool.description), tool
    said = await done(session, "decide", money="yes", team_size=9)
    assert said["answers"][1]["choose"] == "event_sourced", said
    await refused(session, "decide", money="perhaps")
    assert "there is no fact" in await refused(session, "decide", weather="fine")

    said = await done(session, "adr_new", title="Orders keep events", status="accepted", decision="They do.")
    assert said["file"] == "docs/adr/0001-orders-keep-events.md", said
    await done(session, "adr_new", title="Orders keep rows", supersedes=1)
    said = await done(session, "adr", action="list")
    assert [record["status"] for record in said["records"]] == ["superseded", "proposed"], said
    said = await done(session, "adr", action="show", number=1)
    assert "They do." in said["text"]
    assert (await done(session, "adr", action="check"))["findings"] == []
    assert "supersedes" in (await done(session, "adr", action="graph"))["text"]

    said = await done(session, "explain", rule="lock-across-await")
    assert "lock-across-await" in said["text"], said
    assert "there is no rule" in await refused(session, "explain", rule="no-such")

    planned = await done(session, "scaffold", name="parcels", dry_run=True)
    assert not planned["made"] and "parcels/Dockerfile" in planned["files"], planned
    made = await done(session, "scaffold", name="parcels")
    assert made["made"] and "It takes stanchion from" in made["stanchion"], made
    assert "is there already" in await refused(session, "scaffold", name="parcels")
    grown = await done(session, "add", service="parcels", what="use-case", name="archive")
    assert "src/parcels/application/archive.rs" in grown["files"], grown
    said = await done(session, "review", folder="parcels")
    high = [found for found in said["review"]["findings"] if found["severity"] == "high"]
    assert not high, high
    assert "there is no rule" in await refused(session, "review", only=["no-such"])
    assert "is no name" in await refused(session, "scaffold", name="../x")

    assert "is not this machine" in await refused(session, "doctor", url="http://192.0.2.1:80")
    assert "does not answer" in await refused(session, "doctor", url="http://127.0.0.1:9")
    assert CALLED == {tool.name for tool in listed}, CALLED ^ {tool.name for tool in listed}
    print("every tool called")


async def outside(session):
    for folder in ["..", "../x", "up", "up/x", "/etc", "docs/../../x"]:
        assert "outside" in await refused(session, "adr_new", title="X", folder=folder), folder
        assert "outside" in await refused(session, "review", folder=folder), folder
        assert "outside" in await refused(session, "adr", action="list", folder=folder), folder
        assert "outside" in await refused(session, "scaffold", name="y", into=folder), folder
        assert "outside" in await refused(session, "add", service=folder, what="migration", name="x"), folder


async def resources(session):
    uris = [str(resource.uri) for resource in (await session.list_resources()).resources]
    assert "stanchion://root/docs/guide/page.md" in uris and "stanchion://decide/rules" in uris, uris
    page = await session.read_resource("stanchion://root/docs/guide/page.md")
    assert page.contents[0].text == "# A page\n", page
    for uri in ["stanchion://root/../secret.md", "stanchion://root/up/secret.md", "stanchion://root/docs/guide/leak.md", "file:///etc/passwd"]:
        try:
            read = await session.read_resource(uri)
        except Exception:
            continue
        raise AssertionError(f"{uri} was read: {read}")


async def prompts(session):
    names = [prompt.name for prompt in (await session.list_prompts()).prompts]
    assert names == ["review_change", "design_service", "write_decision"], names
    prompt = await session.get_prompt("design_service", {"service": "a ledger"})
    assert "a ledger" in prompt.messages[0].content.text


async def main():
    binary, root = sys.argv[1:]
    server = StdioServerParameters(command=binary, args=["mcp", "--root", root])
    async with stdio_client(server) as (reads, writes):
        async with ClientSession(reads, writes) as session:
            await session.initialize()
            await tools(session)
            await outside(session)
            await resources(session)
            await prompts(session)


asyncio.run(main())

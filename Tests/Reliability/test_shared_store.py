"""Several tool-servers on one database that begin at the same time: the schema is made once, the demo data too."""
import subprocess
import threading

import pytest

import services
from postgresql import PostgreSQL

SERVERS, ROUNDS = 5, 2


@pytest.fixture(scope="module")
def database():
    made = PostgreSQL()
    yield made
    made.remove()


def tables(database, name):
    return database.query(
        "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' "
        "ORDER BY 1, 2", database=name)


@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
def test_migrations_raced(database, tmp_path, running_together, engine):
    schemas = []
    for round_ in range(ROUNDS):
        if engine == "postgresql":
            database.query(f"CREATE DATABASE raced{round_}", database="postgres")
            url = database.url.rsplit("/", 1)[0] + f"/raced{round_}"
        else:
            url = tmp_path / f"raced{round_}.sqlite"
        servers = running_together(lambda: services.tool_server(url), SERVERS)
        for server in servers:
            status, _, body = services.request(
                server.addresses["main"], "POST", "/mcp/search_projects", '{"query": "nothing is here yet"}')
            assert status == 200, body
        if engine == "postgresql":
            schemas.append(tables(database, f"raced{round_}"))
            versions = database.query("SELECT count(*), count(DISTINCT version) FROM tool_server_schema",
                                      database=f"raced{round_}")
            assert versions[0][0] == versions[0][1], "a step of the schema is recorded twice"
        for server in servers:
            assert server.stop() == 0
    assert all(schema == schemas[0] and schema for schema in schemas)


@pytest.fixture
def running_together():
    """Starts so many at the same moment, and returns when all of them serve."""
    started = []

    def begin(make, count):
        made, barrier = [], threading.Barrier(count)

        def start():
            barrier.wait()
            made.append(make())
            started.append(made[-1])

        threads = [threading.Thread(target=start) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [service.ready() for service in made]

    yield begin
    for service in started:
        service.kill()


def test_demo_data_raced(database):
    database.query("CREATE DATABASE seeded", database="postgres")
    url = database.url.rsplit("/", 1)[0] + "/seeded"
    seeding = [subprocess.Popen([services.PRODUCTS / "tool-server", "seed", "--database", url], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    outcomes = [(process.communicate(timeout=120), process.returncode) for process in seeding]
    assert all(code == 0 for _, code in outcomes), outcomes
    counts = [database.query(f"SELECT count(*), count(DISTINCT id) FROM {table}", database="seeded")[0]
              for table in ("project", "document", "account")]
    database.query("CREATE DATABASE seeded_once", database="postgres")
    once = database.url.rsplit("/", 1)[0] + "/seeded_once"
    subprocess.run([services.PRODUCTS / "tool-server", "seed", "--database", once], check=True, capture_output=True)
    assert counts == [database.query(f"SELECT count(*), count(DISTINCT id) FROM {table}", database="seeded_once")[0]
                      for table in ("project", "document", "account")]
    # A password that is printed is the one that counts: each user's is printed once.
    printed = "".join(out + err for (out, err), _ in outcomes)
    for user in ("alice", "bob"):
        assert printed.count(f"created user {user} with password") == 1, printed

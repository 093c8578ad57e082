"""Shares what starts both processes with the tests of operations and of deployment, and the person who signs in with
those of interoperation."""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), *(str(HERE.parent / name) for name in ("Operations", "Deployment"))]
sys.path.append(str(HERE.parent / "Interop"))

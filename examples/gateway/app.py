"""The gateway as an app: `python app.py`, or `uvicorn app:app --host 0.0.0.0 --port 8000 --workers 4`.

Set OPENAI_API_KEY and/or ANTHROPIC_API_KEY, and REDIS_HOST where Redis is not on this machine.
"""

import uvicorn

from system.gateway.app import app

__all__ = ["app"]

if __name__ == "__main__":
    uvicorn.run("app:app", port=8000, reload=True)

"""A stand-in for AWS Elemental MediaConvert: the API's requests, real transcodes by ffmpeg, the service's events.

    python -m mediaconvert.server        in localstack/; stack.py starts it

`model` checks requests with the service's own model, `settings` says which settings are honoured, `encode` does as they
say, `jobs` keeps the jobs and their queue and tells EventBridge, `server` speaks HTTP. See ../README.md for what differs.
"""


class Refused(Exception):
    """An answer that the API's clients know: the error's name, its HTTP status and what is wrong."""

    STATUSES = {"BadRequestException": 400, "ForbiddenException": 403, "NotFoundException": 404, "ConflictException": 409}

    def __init__(self, name: str, message: str):
        super().__init__(message)
        self.name = name
        self.status = self.STATUSES[name]

#!/usr/bin/env python3
"""As much of an S3 client as tests need to bring up and clear away: standard library only.

    s3.py URL buckets            lists the buckets
    s3.py URL make BUCKET        makes one
    s3.py URL remove BUCKET      removes it with all versions of all objects and all unfinished uploads
    s3.py URL list BUCKET [PREFIX]   keys, one a line
    s3.py URL uploads BUCKET     unfinished uploads, `KEY ID` a line

URL is http://ACCESS:SECRET@HOST:PORT. Errors go to standard error, with exit code 1.
"""

import base64
import datetime
import hashlib
import hmac
import http.client
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import escape

REGION = "us-east-1"
TIMEOUT = 60


class S3Error(Exception):
    """The server's answer to a request, when it is not a good one."""


class S3:
    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "http" or not (parts.username and parts.password and parts.hostname and parts.port):
            raise S3Error("the URL has to be http://ACCESS:SECRET@HOST:PORT")
        self.host = f"{parts.hostname}:{parts.port}"
        self.access, self.secret = (urllib.parse.unquote(part) for part in (parts.username, parts.password))
        self._connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT)

    def request(self, method, path, query=None, body=b"", headers=None):
        """One signed request with a path-style path; returns the body of a 2xx answer."""
        path = urllib.parse.quote(path)
        query = "&".join(f"{_quote(name)}={_quote(value)}" for name, value in sorted((query or {}).items()))
        headers = self._sign(method, path, query, body, headers or {})
        self._connection.request(method, f"{path}?{query}" if query else path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if not 200 <= answer.status < 300:
            raise S3Error(f"{method} {path}: {answer.status} {answer.reason} {text.decode(errors='replace')[:500]}")
        return text

    def buckets(self):
        return _texts(self.request("GET", "/"), "Bucket", "Name")

    def make(self, bucket):
        self.request("PUT", f"/{bucket}")

    def keys(self, bucket, prefix=""):
        return [key for key, _ in self._listed(bucket, {"list-type": "2", "prefix": prefix}, ["Contents"], "Key", "ETag")]

    def uploads(self, bucket):
        return self._listed(bucket, {"uploads": ""}, ["Upload"], "Key", "UploadId")

    def remove(self, bucket):
        for key, upload in self.uploads(bucket):
            self.request("DELETE", f"/{bucket}/{key}", {"uploadId": upload})
        versions = self._listed(bucket, {"versions": ""}, ["Version", "DeleteMarker"], "Key", "VersionId")
        for first in range(0, len(versions), 1000):
            self._remove_objects(bucket, versions[first:first + 1000])
        self.request("DELETE", f"/{bucket}")

    def _remove_objects(self, bucket, versions):
        names = "".join(f"<Object><Key>{escape(key)}</Key><VersionId>{escape(version)}</VersionId></Object>" for key, version in versions)
        body = f"<Delete><Quiet>true</Quiet>{names}</Delete>".encode()
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        answer = self.request("POST", f"/{bucket}", {"delete": ""}, body, {"Content-MD5": digest})
        if failed := _texts(answer, "Error", "Message"):
            raise S3Error(f"POST /{bucket}?delete: {failed[0]}")

    def _listed(self, bucket, query, kinds, *fields):
        """Every page of a listing: these fields of the elements of these kinds."""
        found, query = [], dict(query)
        while True:
            page = _parse(self.request("GET", f"/{bucket}", query))
            found += [tuple(element.findtext(field) or "" for field in fields) for kind in kinds for element in page.iter(kind)]
            if page.findtext("IsTruncated") != "true":
                return found
            for answer, parameter in [
                ("NextContinuationToken", "continuation-token"), ("NextKeyMarker", "key-marker"),
                ("NextVersionIdMarker", "version-id-marker"), ("NextUploadIdMarker", "upload-id-marker"),
            ]:
                if text := page.findtext(answer):
                    query[parameter] = text

    def _sign(self, method, path, query, body, headers):
        """AWS Signature Version 4, over the headers a server insists on and those of the caller."""
        now = datetime.datetime.now(datetime.timezone.utc)
        stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        content = hashlib.sha256(body).hexdigest()
        headers = {name.lower(): value for name, value in headers.items()}
        headers |= {"host": self.host, "x-amz-date": stamp, "x-amz-content-sha256": content}
        signed = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        request = f"{method}\n{path}\n{query}\n{lines}\n{signed}\n{content}"
        scope = f"{day}/{REGION}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{self.secret}".encode()
        for part in (day, REGION, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={self.access}/{scope}, SignedHeaders={signed}, Signature={signature}"
        return headers


def _quote(text):
    return urllib.parse.quote(text, safe="-_.~")


def _parse(text):
    """Without namespaces: some servers name one, some do not."""
    root = ElementTree.fromstring(text)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _texts(text, kind, field):
    return [element.findtext(field) or "" for element in _parse(text).iter(kind)] if text else []


def main(url, action, *arguments):
    server = S3(url)
    match (action, *arguments):
        case ("buckets",):
            lines = server.buckets()
        case ("make", bucket):
            lines = server.make(bucket)
        case ("remove", bucket):
            lines = server.remove(bucket)
        case ("list", bucket):
            lines = server.keys(bucket)
        case ("list", bucket, prefix):
            lines = server.keys(bucket, prefix)
        case ("uploads", bucket):
            lines = [" ".join(upload) for upload in server.uploads(bucket)]
        case _:
            raise SystemExit(__doc__)
    for line in lines or []:
        print(line)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    try:
        main(*sys.argv[1:])
    except (S3Error, OSError, http.client.HTTPException) as failure:
        raise SystemExit(f"s3.py: {failure}") from None

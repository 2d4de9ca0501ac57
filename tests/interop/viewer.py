"""OHIF on loopback: its built application, an Orthanc with DICOMweb behind it, and a browser that a test drives."""

import http.server
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page

from medaet.config.model import Peer
from tests.interop.orthanc import running

DICOMWEB = "/dicom-web"
PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
CONFIGURATION = f"""
window.config = {{
  routerBasename: '/', extensions: [], modes: [], showStudyList: true, maxNumberOfWebWorkers: 1,
  showWarningMessageForCrossOrigin: false, showCPUFallbackMessage: false,
  disableConfirmationPrompts: true, investigationalUseDialog: {{ option: 'never' }},
  customizationService: [{{ 'ohif.tours': {{ $set: [] }} }}],
  defaultDataSourceName: 'archive',
  dataSources: [{{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
    sourceName: 'archive',
    configuration: {{
      friendlyName: 'archive', name: 'archive', qidoRoot: '{DICOMWEB}', wadoRoot: '{DICOMWEB}',
      wadoUriRoot: '/wado', imageRendering: 'wadors', thumbnailRendering: 'wadors',
      enableStudyLazyLoad: true, supportsWildcard: true, omitQuotationForMultipartRequest: true,
      bulkDataURI: {{ enabled: true, relativeResolution: 'studies' }},
    }},
  }}],
}};
"""
SEGMENTS = """() => window.services.segmentationService.getSegmentations().flatMap(
    one => Object.values(one.segments).map(segment => segment.label))"""
SERIES = """() => window.services?.displaySetService?.getActiveDisplaySets().map(
    one => one.Modality) ?? []"""
POINTS = "() => window.services.measurementService.getMeasurements().length"
SHOW_SLICE = """async ([uid, point]) => {
    const [viewport] = window.cornerstone.getRenderingEngines().flatMap(one => one.getViewports());
    const ids = viewport.getImageIds();
    await viewport.setImageIdIndex(ids.findIndex(id => id.includes(uid)));
    viewport.render();
    const [x, y] = viewport.worldToCanvas(point);
    const box = viewport.canvas.getBoundingClientRect();
    return [box.left + x, box.top + y];
}"""


@contextmanager
def archive_with_dicomweb(folder: Path) -> Iterator[tuple[Peer, str]]:
    """Run an Orthanc with DICOMweb; the peer to send to, and the address of its HTTP server."""
    settings = {
        "AuthenticationEnabled": False,
        "UnknownSopClassAccepted": True,  # label maps are younger than this Orthanc
        "Plugins": [PLUGIN],
        "DicomWeb": {"Enable": True, "Root": f"{DICOMWEB}/", "EnableWado": True},
    }
    with running(folder, settings, profile="ohif") as orthanc:
        yield orthanc.peer, f"http://127.0.0.1:{orthanc.http}"


@contextmanager
def application(built: Path, archive: str) -> Iterator[str]:
    """Serve OHIF's built application, and the archive under the same origin; its address."""

    class Handler(_Handler):
        folder, origin = built, archive

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="viewer")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files of the application, its configuration, and the archive's DICOMweb."""

    protocol_version = "HTTP/1.1"
    folder: Path
    origin: str

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments, directory=str(self.folder))

    def do_GET(self) -> None:
        if self.path.startswith((DICOMWEB, "/wado")):
            self._answer(*self._archived())
        elif self.path.startswith("/app-config.js"):
            self._answer(200, "text/javascript", CONFIGURATION.encode())
        else:
            if not (self.folder / self.path.split("?")[0].lstrip("/")).is_file():
                self.path = "/index.html"
            super().do_GET()

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _archived(self) -> tuple[int, str, bytes]:
        request = urllib.request.Request(self.origin + self.path)
        request.add_header("Accept", self.headers.get("Accept", "*/*"))
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read()
        except urllib.error.HTTPError as error:
            return error.code, "text/plain", error.read()

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def screenshot(page: Page, path: Path) -> NDArray[np.int64]:
    """Take and keep a picture of a page: (row, column, red green blue)."""
    content = page.screenshot(path=path)
    return np.asarray(Image.open(BytesIO(content)).convert("RGB")).astype(np.int64)

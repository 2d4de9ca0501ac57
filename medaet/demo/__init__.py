"""The demonstration: daemon, scanner and PACS on loopback, on real scans."""

from s3_servers.fixtures import moto_address

__all__ = ["moto_address"]

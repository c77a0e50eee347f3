-- Not executed in CI. A stolen key is of no use elsewhere: the service users may come from the
-- addresses of this environment's NAT gateways only. People are not touched by this policy.
USE ROLE SECURITYADMIN;

CREATE NETWORK POLICY IF NOT EXISTS ${policy}
    COMMENT = 'Service users of the vending platform, ${environment}.';

ALTER NETWORK POLICY ${policy} SET ALLOWED_IP_LIST = (${egress});

ALTER USER LOADER_SERVICE SET NETWORK_POLICY = ${policy};
ALTER USER TRANSFORMER_SERVICE SET NETWORK_POLICY = ${policy};

-- Not executed in CI. Three roles, so that no service can do another's work: LOADER writes the raw
-- tables and the ledger, TRANSFORMER reads them and builds models, REPORTER reads marts.
USE ROLE USERADMIN;

CREATE ROLE IF NOT EXISTS LOADER COMMENT = 'Loads conformed files and writes the ledger.';
CREATE ROLE IF NOT EXISTS TRANSFORMER COMMENT = 'Runs dbt.';
CREATE ROLE IF NOT EXISTS REPORTER COMMENT = 'Reads the marts.';

-- Without this nobody but ACCOUNTADMIN could look after what the roles own.
GRANT ROLE LOADER TO ROLE SYSADMIN;
GRANT ROLE TRANSFORMER TO ROLE SYSADMIN;
GRANT ROLE REPORTER TO ROLE SYSADMIN;

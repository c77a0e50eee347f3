-- Not executed in CI. Schemas are made here and not by the services, whose roles need no right to.
USE ROLE SYSADMIN;

CREATE DATABASE IF NOT EXISTS ${database} COMMENT = 'Vending data, ${environment}.';

-- Raw tables and the views over them. Raw rows can be loaded again from the lake, so neither time
-- travel beyond a day nor fail-safe is paid for.
CREATE TRANSIENT SCHEMA IF NOT EXISTS ${database}.STAGING DATA_RETENTION_TIME_IN_DAYS = 1;

-- The ledger decides what is loaded, and cannot be rebuilt from the lake alone.
CREATE SCHEMA IF NOT EXISTS ${database}.OPS DATA_RETENTION_TIME_IN_DAYS = 1;

CREATE TRANSIENT SCHEMA IF NOT EXISTS ${database}.INTERMEDIATE DATA_RETENTION_TIME_IN_DAYS = 0;
CREATE SCHEMA IF NOT EXISTS ${database}.MARTS DATA_RETENTION_TIME_IN_DAYS = 1;

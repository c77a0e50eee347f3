-- Not executed in CI. One small warehouse: the nightly work is minutes long, and a minute after it
-- nothing is paid for any more.
USE ROLE SYSADMIN;

CREATE WAREHOUSE IF NOT EXISTS ${warehouse}
    WAREHOUSE_SIZE = XSMALL
    INITIALLY_SUSPENDED = TRUE;

-- Set again each time, so that what was changed by hand does not stay.
ALTER WAREHOUSE ${warehouse} SET
    AUTO_SUSPEND = 60
    AUTO_RESUME = TRUE
    STATEMENT_TIMEOUT_IN_SECONDS = 3600
    STATEMENT_QUEUED_TIMEOUT_IN_SECONDS = 1800;

GRANT USAGE ON WAREHOUSE ${warehouse} TO ROLE LOADER;
GRANT USAGE ON WAREHOUSE ${warehouse} TO ROLE TRANSFORMER;
GRANT USAGE ON WAREHOUSE ${warehouse} TO ROLE REPORTER;

USE ROLE ACCOUNTADMIN;

-- A runaway query costs a known amount at most. ${credits} credits are some ${credits} hours of XSMALL.
CREATE RESOURCE MONITOR IF NOT EXISTS ${warehouse}_MONITOR
    WITH CREDIT_QUOTA = ${credits}
    FREQUENCY = MONTHLY
    START_TIMESTAMP = IMMEDIATELY
    TRIGGERS
        ON 80 PERCENT DO NOTIFY
        ON 100 PERCENT DO SUSPEND
        ON 110 PERCENT DO SUSPEND_IMMEDIATE;

ALTER WAREHOUSE ${warehouse} SET RESOURCE_MONITOR = ${warehouse}_MONITOR;

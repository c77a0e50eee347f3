-- Not executed in CI. Snowflake reads the lake by assuming a role of the lake's AWS account: no key
-- is stored anywhere. It sees conformed rows and rejected ones, never raw files.
USE ROLE ACCOUNTADMIN;

CREATE STORAGE INTEGRATION IF NOT EXISTS ${integration}
    TYPE = EXTERNAL_STAGE
    STORAGE_PROVIDER = 'S3'
    ENABLED = TRUE
    STORAGE_AWS_ROLE_ARN = '${aws_role}'
    STORAGE_ALLOWED_LOCATIONS = (
        's3://${bucket}/processed-data/', 's3://${bucket}/quarantine/'
    );

GRANT USAGE ON INTEGRATION ${integration} TO ROLE SYSADMIN;

USE ROLE SYSADMIN;

-- The loader names these three; see include/warehouse/snowflake.py.
CREATE STAGE IF NOT EXISTS ${database}.OPS.PROCESSED_DATA
    STORAGE_INTEGRATION = ${integration}
    URL = 's3://${bucket}/processed-data/';

CREATE STAGE IF NOT EXISTS ${database}.OPS.QUARANTINE_DATA
    STORAGE_INTEGRATION = ${integration}
    URL = 's3://${bucket}/quarantine/';

-- Logical types, or timestamps come as numbers. No text stands for null: by default the text \N
-- would be read as null, and a value would be lost.
CREATE FILE FORMAT IF NOT EXISTS ${database}.OPS.PARQUET_ROWS
    TYPE = PARQUET
    USE_LOGICAL_TYPE = TRUE
    BINARY_AS_TEXT = FALSE
    NULL_IF = ();

-- Its STORAGE_AWS_IAM_USER_ARN and STORAGE_AWS_EXTERNAL_ID belong into the role's trust policy.
DESC INTEGRATION ${integration};

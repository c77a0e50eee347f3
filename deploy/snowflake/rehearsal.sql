-- Not executed in CI. A copy of the database in which to try a change; no data is copied, and only
-- what the rehearsal changes is paid for. Grants on tables come along with the clone.
USE ROLE SYSADMIN;

CREATE DATABASE IF NOT EXISTS ${database}_REHEARSAL CLONE ${database};

GRANT USAGE ON DATABASE ${database}_REHEARSAL TO ROLE TRANSFORMER;
GRANT USAGE ON DATABASE ${database}_REHEARSAL TO ROLE LOADER;

-- When the rehearsal is over: DROP DATABASE ${database}_REHEARSAL

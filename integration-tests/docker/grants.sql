-- For tests that make databases and users of their own, and end the sessions of others.
GRANT ALL ON *.* TO 'otel'@'%' WITH GRANT OPTION;

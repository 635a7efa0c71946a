-- For tests that make databases of their own, and end the sessions of others.
GRANT ALL ON *.* TO 'otel'@'%';

-- The first of two.
CREATE TABLE articles (slug TEXT PRIMARY KEY, body TEXT NOT NULL);

ALTER TABLE articles ADD COLUMN votes INTEGER NOT NULL DEFAULT 0;
INSERT INTO articles (slug, body) VALUES ('welcome', 'Write here.');

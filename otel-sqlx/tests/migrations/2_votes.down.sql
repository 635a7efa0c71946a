DELETE FROM articles WHERE slug = 'welcome';
ALTER TABLE articles DROP COLUMN votes;

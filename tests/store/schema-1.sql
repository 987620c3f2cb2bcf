-- What programs made before the schema had revisions (PRAGMA user_version 1), as SQLite keeps it,
-- without the index of unknown events, which depends on the program.
PRAGMA user_version = 1;
CREATE TABLE event (
	idx INTEGER NOT NULL,
	time INTEGER NOT NULL,
	kind TEXT NOT NULL,
	v INTEGER NOT NULL,
	subject INTEGER,
	canonical BLOB,
	salt BLOB,
	commitment BLOB NOT NULL,
	PRIMARY KEY (idx)
);
CREATE INDEX ix_event_subject ON event (subject);
CREATE TABLE symbol (
	num INTEGER NOT NULL,
	text TEXT NOT NULL,
	PRIMARY KEY (num),
	UNIQUE (text)
);
CREATE TABLE subject (
	num INTEGER NOT NULL,
	text TEXT NOT NULL,
	PRIMARY KEY (num),
	UNIQUE (text)
);
CREATE TABLE person (
	idx INTEGER NOT NULL,
	time INTEGER NOT NULL,
	subject INTEGER NOT NULL,
	member INTEGER NOT NULL
);
CREATE TABLE fact (
	idx INTEGER NOT NULL,
	time INTEGER NOT NULL,
	subject INTEGER NOT NULL,
	n INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	value INTEGER NOT NULL,
	start INTEGER NOT NULL,
	stop INTEGER NOT NULL
);
CREATE TABLE notice (
	idx INTEGER NOT NULL,
	time INTEGER NOT NULL,
	subject INTEGER NOT NULL,
	version INTEGER NOT NULL,
	at_registration INTEGER NOT NULL
);
CREATE TABLE objection (
	idx INTEGER NOT NULL,
	time INTEGER NOT NULL,
	subject INTEGER NOT NULL,
	version INTEGER NOT NULL,
	taken_back INTEGER NOT NULL
);
CREATE TABLE amendment (
	idx INTEGER NOT NULL,
	time INTEGER NOT NULL,
	subject INTEGER NOT NULL,
	contract INTEGER NOT NULL,
	purpose INTEGER NOT NULL,
	pattern INTEGER NOT NULL,
	recipient INTEGER NOT NULL,
	start INTEGER NOT NULL,
	stop INTEGER NOT NULL
);
CREATE TABLE line (
	idx INTEGER NOT NULL,
	time INTEGER NOT NULL,
	subject INTEGER NOT NULL,
	shape INTEGER NOT NULL,
	start INTEGER NOT NULL,
	stop INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	acted INTEGER NOT NULL,
	mark INTEGER NOT NULL
);
CREATE TABLE erased (
	idx INTEGER NOT NULL,
	time INTEGER NOT NULL,
	subject INTEGER NOT NULL
);

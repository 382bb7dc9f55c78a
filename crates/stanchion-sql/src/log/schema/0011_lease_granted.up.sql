-- When it was given or renewed: later than now is by a clock that has been set back since. Null is by a release that did not say.
alter table lease add column granted_at timestamptz;

-- The address that a user had before changing it: for as long as it is held a new password goes there and nowhere else, and
-- nobody else gets it. One that was never proved is told of the change, and no more. `id` is the user's.
create table former_emails (
    id         uuid primary key references users (id),
    email      text not null,
    email_key  text not null,
    is_proved  boolean not null,
    held_until timestamptz not null
);
create index former_emails_key on former_emails (email_key);
create index former_emails_held_until on former_emails (held_until);

-- What a user left while the address in `former_emails` was still held: told and held as that one is, each for itself. Of those
-- that are held the one that was left first decides by whom a new password is set: `former_emails`, then these by `nth`.
create table later_emails (
    user_id    uuid not null references users (id),
    email_key  text not null,
    email      text not null,
    nth        bigint not null,
    is_proved  boolean not null,
    held_until timestamptz not null,
    told       bigint not null default 0,
    told_by    uuid,
    primary key (user_id, email_key)
);
create index later_emails_key on later_emails (email_key);
create index later_emails_held_until on later_emails (held_until);

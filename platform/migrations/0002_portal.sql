-- Developers and staff, organisations, apps under review, applications, tickets, notices, and the two records.

-- Developers and staff. A person of the operator's (people) is somebody else, even with the same address.
create table accounts (
  account_id bigint primary key,
  kind text not null,
  email text not null,
  name text not null,
  password_hash text,
  verified_at bigint,
  -- Who the operator's OpenID provider says they are; null for accounts with a password of ours.
  provider_subject text,
  totp_sealed {bytes},
  totp_confirmed_at bigint,
  -- The last time step that was used, so that a code works once (RFC 6238 5.2).
  totp_step bigint,
  notify boolean not null,
  created_at bigint not null,
  disabled_at bigint,
  unique (kind, email)
);
create unique index accounts_by_provider on accounts (kind, provider_subject) where provider_subject is not null;

-- Sign-ups whose address is still to be proved. There is one for an address that has an account, too, so that both take the same way; only its mail
-- differs. The password is asked for once more by the page that the mailed link opens: a link somebody else asked for makes nobody's account.
create table sign_ups (
  sign_up_id bigint primary key,
  email text not null,
  name text not null,
  password_hash text not null,
  created_at bigint not null,
  expires_at bigint not null
);
create index sign_ups_by_email on sign_ups (email);
create index sign_ups_by_end on sign_ups (expires_at);

create table staff_roles (
  account_id bigint not null references accounts (account_id),
  role text not null,
  primary key (account_id, role)
);

create table recovery_codes (
  code_hash {bytes} primary key,
  account_id bigint not null references accounts (account_id),
  used_at bigint
);
create index recovery_codes_by_account on recovery_codes (account_id);

create table account_sessions (
  session_hash {bytes} primary key,
  session_id bigint not null unique,
  account_id bigint not null references accounts (account_id),
  -- False until the second factor was given.
  complete boolean not null,
  agent text not null,
  created_at bigint not null,
  fresh_at bigint not null,
  seen_at bigint not null,
  expires_at bigint not null,
  -- Sealed, for the logout at the operator's provider.
  id_token {bytes}
);
create index account_sessions_by_account on account_sessions (account_id);
create index account_sessions_by_end on account_sessions (expires_at);

-- Single-use links that were mailed: verify an address, reset a password, answer a question, accept an invitation.
create table links (
  link_hash {bytes} primary key,
  purpose text not null,
  about_id bigint not null,
  email text not null,
  created_at bigint not null,
  expires_at bigint not null,
  used_at bigint
);
create index links_by_end on links (expires_at);
create index links_by_about on links (purpose, about_id);

-- A sign-in at the operator's OpenID provider that is under way. Its row is deleted by the callback that answers it.
create table provider_logins (
  state_hash {bytes} primary key,
  -- people or staff.
  realm text not null,
  -- The browser that began it, by its cookie.
  browser_hash {bytes} not null,
  nonce text not null,
  verifier_sealed {bytes} not null,
  -- Whether the provider was asked to have them prove again who they are.
  fresh boolean not null,
  next text not null,
  created_at bigint not null,
  expires_at bigint not null
);
create index provider_logins_by_end on provider_logins (expires_at);

-- Who the operator's provider says a person is: a hash of issuer and subject identifier. It outlives their deletion, so that they stay deleted.
alter table people add column provider_key {bytes};
create unique index people_by_provider on people (provider_key) where provider_key is not null;

-- Sessions of people can be listed and ended, and know when somebody last proved who they are. Those from before do not: all sign in anew.
delete from sessions;
alter table sessions add column session_id bigint not null default 0;
alter table sessions add column agent text not null default '';
alter table sessions add column fresh_at bigint not null default 0;
alter table sessions add column seen_at bigint not null default 0;
-- Sealed, for the logout at the operator's provider.
alter table sessions add column id_token {bytes};
create unique index sessions_by_id on sessions (session_id);

create table organisations (
  organisation_id bigint primary key,
  name text not null,
  created_at bigint not null,
  deleted_at bigint
);

create table members (
  organisation_id bigint not null references organisations (organisation_id),
  account_id bigint not null references accounts (account_id),
  role text not null,
  since bigint not null,
  primary key (organisation_id, account_id)
);
create index members_by_account on members (account_id);

create table app_managers (
  app_id bigint not null references apps (app_id),
  account_id bigint not null references accounts (account_id),
  since bigint not null,
  primary key (app_id, account_id)
);
create index app_managers_by_account on app_managers (account_id);

create table invitations (
  invitation_id bigint primary key,
  organisation_id bigint not null references organisations (organisation_id),
  app_id bigint references apps (app_id),
  -- None if nobody is registered with the address: whoever invites is not told so.
  account_id bigint references accounts (account_id),
  -- As it was typed; emptied once the invitation has ended.
  email text not null,
  role text not null,
  invited_by bigint not null references accounts (account_id),
  created_at bigint not null,
  expires_at bigint not null,
  ended_at bigint,
  outcome text
);
create index invitations_by_organisation on invitations (organisation_id, created_at);
create index invitations_by_account on invitations (account_id, ended_at);

-- Whose an app is: 'organisation', 'account' or 'operator'; owner_id says which.
alter table apps add column owner_kind text not null default 'operator';
-- Products switched on, comma separated: login, webhooks, portability.
alter table apps add column products text not null default 'login,webhooks,portability';
alter table apps add column category text not null default '';
-- Web, desktop, Android and iOS, as JSON.
alter table apps add column platforms text not null default '[]';
alter table apps add column icon_upload bigint;
alter table apps add column deleted_at bigint;
create index apps_by_owner on apps (owner_id, created_at);
-- When a secret was shown to its owner; a secret is shown once.
alter table app_secrets add column shown_at bigint;

-- What a developer writes about an app, and what staff decided about it. The newest of an app is its working copy; `apps` holds what is in force.
create table app_revisions (
  revision_id bigint primary key,
  app_id bigint not null references apps (app_id),
  number integer not null,
  state text not null,
  -- The fields of contract 1.4, as JSON.
  details text not null,
  explanation text not null,
  version bigint not null,
  created_by bigint,
  created_at bigint not null,
  updated_at bigint not null,
  submitted_at bigint,
  submitted_by bigint,
  due_at bigint,
  assigned_to bigint,
  decided_at bigint,
  decided_by bigint,
  -- Decision codes with their texts, as JSON.
  reasons text not null,
  escalated_at bigint,
  unique (app_id, number)
);
create index app_revisions_queue on app_revisions (state, due_at, revision_id);

-- An app that is offered to another organisation.
create table app_transfers (
  transfer_id bigint primary key,
  app_id bigint not null references apps (app_id),
  organisation_id bigint not null references organisations (organisation_id),
  started_by bigint not null references accounts (account_id),
  created_at bigint not null,
  expires_at bigint not null,
  ended_at bigint,
  outcome text
);
create unique index app_transfers_open on app_transfers (app_id) where ended_at is null;
create index app_transfers_by_organisation on app_transfers (organisation_id, ended_at);

-- Addresses whose ownership an app's owner proves (contract 1.6).
create table url_properties (
  property_id bigint primary key,
  owner_id bigint not null,
  kind text not null,
  value text not null,
  token text not null,
  created_at bigint not null,
  verified_at bigint,
  checked_at bigint,
  problem text,
  unique (owner_id, kind, value)
);

-- What an app may ask for once it is switched on: a family such as portability.activity, approved by a decision or by the operator's own act.
create table app_approvals (
  app_id bigint not null references apps (app_id),
  family text not null,
  application_id bigint,
  conditions text not null,
  approved_at bigint not null,
  ended_at bigint,
  primary key (app_id, family)
);

-- Files that developers and staff hand in; sealed in the vault like archives.
create table uploads (
  upload_id bigint primary key,
  owner_id bigint not null,
  account_id bigint,
  app_id bigint,
  purpose text not null,
  name text not null,
  media_type text not null,
  size bigint not null,
  sha256 text not null,
  object text not null unique,
  sealed_key {bytes} not null,
  -- What was read out of it: pages, text, language; as JSON.
  facts text not null,
  created_at bigint not null,
  -- Set while something names it; what nothing names is swept.
  kept_at bigint
);
create index uploads_by_app on uploads (app_id, created_at);
create index uploads_loose on uploads (created_at) where kept_at is null;
create index uploads_by_account on uploads (account_id, created_at);

create table applications (
  application_id bigint primary key,
  app_id bigint not null references apps (app_id),
  owner_id bigint not null,
  created_by bigint not null,
  -- Which form, as name and version: compatible.1
  form text not null,
  state text not null,
  -- Counts every change, for optimistic locking.
  version bigint not null,
  -- What is being written, as JSON: field to value.
  answers text not null,
  -- How often it was submitted; 0 for a draft.
  submissions integer not null,
  -- The application that was refused or revoked before it.
  previous_id bigint,
  email text not null,
  email_confirmed_at bigint,
  assigned_to bigint,
  -- Lower-case words by which staff find it.
  search text not null,
  sensitive boolean not null,
  created_at bigint not null,
  updated_at bigint not null,
  submitted_at bigint,
  usual_at bigint,
  due_at bigint,
  -- While the applicant has the move: since when, and until when they should have answered.
  stopped_at bigint,
  -- For how many milliseconds in all it has been so, the present pause not counted.
  stood bigint not null,
  answer_due_at bigint,
  -- Where it goes back to when it was reopened for correction.
  reopened_from text,
  escalated_at bigint,
  decided_at bigint,
  ended_at bigint,
  -- What the rules promise, said once more where nothing passes by.
  check ((ended_at is not null)
    = (state in ('approved', 'approved_with_conditions', 'rejected', 'withdrawn', 'expired', 'revoked'))),
  check ((stopped_at is not null) = (state in ('needs_info', 'reopened'))),
  check ((submitted_at is not null) = (due_at is not null)),
  check (submissions > 0 or state in ('draft', 'withdrawn', 'expired'))
);
create index applications_by_app on applications (app_id, created_at);
create index applications_queue on applications (due_at, application_id) where ended_at is null;
create index applications_ended on applications (ended_at, application_id) where ended_at is not null;
create index applications_assigned on applications (assigned_to, due_at) where ended_at is null;
create unique index applications_open on applications (app_id) where ended_at is null;

-- Each submission as it was: nobody can change what was decided about.
create table application_versions (
  application_id bigint not null references applications (application_id),
  number integer not null,
  answers text not null,
  -- Findings of the machine and remarks of the applicant on them, as JSON.
  findings text not null,
  declarations text not null,
  terms_version text not null,
  submitted_by bigint,
  submitted_at bigint not null,
  primary key (application_id, number)
);

create table application_events (
  event_id bigint primary key,
  application_id bigint not null references applications (application_id),
  at bigint not null,
  -- As the audit names actors.
  actor text not null,
  kind text not null,
  from_state text,
  to_state text,
  code text,
  text text not null,
  -- Whether the applicant sees it.
  visible boolean not null
);
create index application_events_by_application on application_events (application_id, at, event_id);

create table application_comments (
  comment_id bigint primary key,
  application_id bigint not null references applications (application_id),
  number integer not null,
  field text not null,
  account_id bigint not null,
  visible boolean not null,
  text text not null,
  at bigint not null
);
create index application_comments_by_application on application_comments (application_id, at);

create table application_questions (
  question_id bigint primary key,
  application_id bigint not null references applications (application_id),
  asked_by bigint not null,
  asked_at bigint not null,
  text text not null,
  -- The fields it is about, comma separated.
  fields text not null,
  due_at bigint not null,
  reminders integer not null,
  answered_at bigint,
  answer text,
  -- What the answer changed: field to value, as JSON.
  changes text,
  -- When it was answered, or nobody waits for the answer any more.
  closed_at bigint
);
create index application_questions_by_application on application_questions (application_id, asked_at);
create index application_questions_open on application_questions (due_at) where closed_at is null;

-- That the organisation exists: register, domain, site, contact.
create table application_evidence (
  application_id bigint not null references applications (application_id),
  kind text not null,
  text text not null,
  account_id bigint not null,
  at bigint not null,
  primary key (application_id, kind)
);

create table application_conflicts (
  application_id bigint not null references applications (application_id),
  account_id bigint not null,
  text text not null,
  at bigint not null,
  primary key (application_id, account_id)
);

-- One reviewer's decision; categories marked sensitive need two that agree.
create table application_decisions (
  decision_id bigint primary key,
  application_id bigint not null references applications (application_id),
  number integer not null,
  account_id bigint not null,
  -- Per family: outcome, code, text, conditions; as JSON.
  outcomes text not null,
  text text not null,
  at bigint not null,
  -- Whether it took effect. What did not waits for a second reviewer, or was changed by a later one of the same reviewer.
  in_force boolean not null
);
-- An application is decided once; after a revocation there is a new application.
create unique index application_decisions_in_force on application_decisions (application_id) where in_force;
create index application_decisions_by_application on application_decisions (application_id, at);

create table tickets (
  ticket_id bigint primary key,
  topic text not null,
  subject text not null,
  state text not null,
  -- Counts every change and every message, for optimistic locking.
  version bigint not null,
  account_id bigint not null references accounts (account_id),
  app_id bigint,
  -- Whose app it was then: another owner does not come to see it.
  owner_id bigint,
  application_id bigint,
  assigned_to bigint,
  -- Lower-case words by which staff find it.
  search text not null,
  created_at bigint not null,
  updated_at bigint not null,
  -- While staff have the move: by when.
  due_at bigint,
  first_answer_due_at bigint not null,
  first_answered_at bigint,
  escalated_at bigint,
  closed_at bigint
);
create index tickets_by_account on tickets (account_id, updated_at, ticket_id);
create index tickets_by_app on tickets (app_id, updated_at, ticket_id);
create index tickets_due on tickets (state, due_at, ticket_id);
create index tickets_latest on tickets (state, updated_at, ticket_id);
create index tickets_unanswered on tickets (first_answer_due_at) where first_answered_at is null and escalated_at is null;
create index tickets_by_application on tickets (application_id);

create table ticket_messages (
  message_id bigint primary key,
  ticket_id bigint not null references tickets (ticket_id),
  -- Counted within the ticket.
  number bigint not null,
  account_id bigint,
  from_staff boolean not null,
  visible boolean not null,
  -- What was done with it: a message, an answer, a note, closed, handed over, opened for correction, refused.
  kind text not null,
  text text not null,
  -- Ids of uploads, comma separated.
  uploads text not null,
  -- By which a form that is posted twice makes one message.
  form text not null unique,
  at bigint not null,
  unique (ticket_id, number)
);

-- Mails. What they say is sealed, because links stand in it, and is erased once sent.
create table notices (
  notice_id bigint primary key,
  kind text not null,
  recipient text not null,
  about_id bigint,
  sealed {bytes},
  created_at bigint not null,
  attempts integer not null,
  last_error text,
  sent_at bigint,
  given_up_at bigint
);
create index notices_by_age on notices (created_at);
create index notices_by_about on notices (about_id, created_at);

-- The audit is chained in batches: position and chain value of each sealed row. Personal detail is kept aside, so that it can be erased.
alter table audit add column about_id bigint;
alter table audit add column detail_hash {bytes};
alter table audit add column position bigint;
alter table audit add column chain {bytes};
create unique index audit_by_position on audit (position) where position is not null;
create index audit_unsealed on audit (at) where position is null;

create table audit_details (
  audit_id bigint primary key references audit (audit_id),
  -- The person or account it belongs to, with whom it is erased.
  subject_id bigint,
  salt {bytes} not null,
  detail text not null
);
create index audit_details_by_subject on audit_details (subject_id);

-- One row: how far the chain goes, and where it begins since retention cut what was before.
create table audit_head (
  one integer primary key,
  position bigint not null,
  chain {bytes} not null,
  anchor_position bigint not null,
  anchor_chain {bytes} not null
);

-- Calls and downloads.
create table access_log (
  access_id bigint primary key,
  at bigint not null,
  app_id bigint not null,
  person_id bigint,
  grant_id bigint,
  request_id bigint,
  call text not null,
  answer text not null,
  bytes bigint not null
);
create index access_log_by_time on access_log (at);
create index access_log_by_app on access_log (app_id, at);
create index access_log_by_person on access_log (person_id, at);

-- Each edition of the catalogue that was ever served: what it held, what changed with it, and a made-up archive of it.
create table catalogue_editions (
  edition text primary key,
  since bigint not null,
  -- Counted from 1.
  number integer not null unique,
  contents text not null,
  changes text not null,
  sample {bytes}
);

-- What the pseudonyms of a grant are made with, sealed; made when a catalogue first asks for one.
alter table grants add column pseudonyms_sealed {bytes};

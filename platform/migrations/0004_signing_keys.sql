-- The keys that sign what archives say of themselves. Public keys are kept for ever: archives outlive the keys that signed them.
create table signing_keys (
  kid text primary key,
  public_key {bytes} not null,
  -- Sealed by the key file; gone once the key signs no more.
  sealed {bytes},
  -- 1 for the one key that signs, null for those before it.
  signs integer unique,
  since bigint not null,
  until bigint
);

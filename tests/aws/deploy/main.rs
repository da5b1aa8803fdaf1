//! `less plan`, `less deploy` and `less destroy` against servers of SNS and SQS.

mod archive;
mod basics;
mod cut_off;
mod external;
mod nothing_lost;
mod scale;
mod stage;

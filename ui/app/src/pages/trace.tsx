import { Empty } from "../components/basics";

export default function Page() {
  return <Empty title="Not yet" />;
}
